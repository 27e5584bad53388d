"""How a panel looks in a picture: matplotlib's axes in place of Grafana's panels."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from deploy.grafana.answers import Line, last
from deploy.grafana.reading import Shown
from deploy.grafana.units import written

COLOURS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff780a", "#b877d9", "#e02f44", "#37872d", "#8ab8ff", "#c4162a", "#a352cc")
GREY = "#6e7079"
# Of numbers beyond their limits; pale, as the number stands on it.
BACKGROUNDS = MappingProxyType({"green": "#c8f2c2", "orange": "#ffd9b0", "red": "#ffb8b8"})
# A legend with more would hide the lines.
LEGEND_ENTRIES = 8
TABLE_ROWS = 8
SMALL, LARGE = 7, 19


def draw(axes: Axes, panel: Shown, lines: Sequence[Line], *, until_s: float) -> None:
    """Draw one panel."""
    axes.set_title(panel.title, fontsize=SMALL + 1, loc="left", color="#24292e")
    axes.tick_params(labelsize=SMALL, length=2, colors=GREY)
    for side in axes.spines.values():
        side.set_color("#dddddd")
    finite = [line for line in lines if any(math.isfinite(value) for value in line.values)]
    if not finite:
        _say(axes, "no data")
        return
    _SHAPES.get(panel.kind, _draw_lines)(axes, panel, finite)
    if panel.kind in {"timeseries", "heatmap"}:
        axes.set_xlim(0, until_s)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda at_s, _: f"{at_s:.0f} s"))


def _draw_lines(axes: Axes, panel: Shown, lines: Sequence[Line]) -> None:
    axes.set_prop_cycle(color=list(COLOURS))
    if panel.is_stacked:
        moments = sorted({moment for line in lines for moment in line.seconds})
        heights = [_at(line, moments) for line in lines]
        axes.stackplot(moments, heights, labels=[line.name for line in lines], alpha=0.75)
        axes.set_ylim(bottom=0.0)
    else:
        for line in lines:
            axes.plot(line.seconds, line.values, linewidth=1.2, label=line.name)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value, panel.unit)))
    axes.grid(visible=True, color="#eeeeee", linewidth=0.6)
    if any(line.name for line in lines):
        handles, names = axes.get_legend_handles_labels()
        shown = slice(LEGEND_ENTRIES)
        axes.legend(handles[shown], names[shown], fontsize=SMALL - 1, loc="upper left", frameon=False, ncols=2)


def _at(line: Line, moments: Sequence[float]) -> list[float]:
    """Return a series at every moment; where it has no value it adds nothing to a stack."""
    known = dict(zip(line.seconds, line.values, strict=True))
    return [value if math.isfinite(value := known.get(moment, 0.0)) else 0.0 for moment in moments]


def _draw_number(axes: Axes, panel: Shown, lines: Sequence[Line]) -> None:
    passed = [colour for value, colour in panel.limits if last(lines[0]) >= value]
    axes.set_facecolor(BACKGROUNDS.get(passed[-1], "white") if passed else "white")
    _say(axes, "  ".join(written(last(line), panel.unit) for line in lines), size=LARGE)


def _draw_heatmap(axes: Axes, panel: Shown, lines: Sequence[Line]) -> None:
    """Draw cumulative buckets as what fell into each; the colours are by the logarithm, as rare images matter."""
    ordered = sorted(lines, key=lambda line: float(line.labels["le"]))
    moments = sorted({moment for line in ordered for moment in line.seconds})
    cumulative = np.array([_at(line, moments) for line in ordered])
    inside = np.clip(np.diff(cumulative, axis=0, prepend=0.0), 0.0, None)
    axes.imshow(
        np.log1p(inside),
        aspect="auto",
        origin="lower",
        cmap="Oranges",
        extent=(moments[0], moments[-1] or 1.0, 0.0, float(len(ordered))),
        interpolation="nearest",
    )
    places = range(0, len(ordered), 3)
    axes.set_yticks([place + 1.0 for place in places])
    axes.set_yticklabels([_bound(ordered[place], panel.unit) for place in places])


def _bound(line: Line, unit: str) -> str:
    bound = float(line.labels["le"])
    return "more" if math.isinf(bound) else written(bound, unit)


def _draw_table(axes: Axes, panel: Shown, lines: Sequence[Line]) -> None:
    axes.set_axis_off()
    ordered = sorted(lines, key=last, reverse=True)[:TABLE_ROWS]
    cells = [[line.name, written(last(line), panel.unit)] for line in ordered]
    table = axes.table(cellText=cells, colWidths=[0.75, 0.25], cellLoc="left", edges="horizontal", loc="upper left")
    table.auto_set_font_size(False)
    table.set_fontsize(SMALL + 1)


def _say(axes: Axes, text: str, *, size: int = SMALL + 2) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.45, text, fontsize=size, ha="center", va="center", transform=axes.transAxes, color=GREY)


_SHAPES: Mapping[str, Callable[[Axes, Shown, Sequence[Line]], None]] = MappingProxyType(
    {"timeseries": _draw_lines, "stat": _draw_number, "heatmap": _draw_heatmap, "table": _draw_table}
)
