"""One simple picture of a dashboard: what its queries return, as plain lines, from a real Prometheus.

Grafana cannot be started where these pictures are made, so they show the data and not how Grafana draws it: no stacks,
no heatmaps, no tables, no thresholds.
"""

import asyncio
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from deploy.grafana.__main__ import DASHBOARDS
from deploy.grafana.reading import Shown, ShownQuery, concrete, read_board
from testing.prometheus import Prometheus

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 4
PANEL_INCHES = (3.7, 2.2)
DPI = 90
SMALL = 7
# A legend with more entries would hide the lines.
LEGEND_ENTRIES = 6
# Lines and letters need no more; the file has a third of the size of all.
COLOURS = 64
# Ten scrapes.
RATE_INTERVAL = "10s"
ALERTS = ShownQuery('ALERTS{alertstate="firing", alertname=~"Modstream.*"}', "{{alertname}}")


@dataclass(frozen=True, slots=True)
class Window:
    """The time that a picture shows."""

    begin_s: float
    """Seconds since the epoch, as `end_s`."""
    end_s: float
    stage: str = "engine"
    """What the reader chose as the dashboard's variable of this name."""
    marks: Sequence[float] = ()
    """Moments to mark, in seconds since the beginning."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A panel's series by their names; a value each second, NaN where there is none."""

    title: str
    unit: str
    series: Sequence[tuple[str, Sequence[float]]]


async def picture(board: str, window: Window, prometheus: Prometheus, path: Path, *, rows: Sequence[str] = ()) -> None:
    """Write a PNG of a dashboard, or of some of its rows, and of the alerts that fired."""
    panels = [
        Drawn(_filled_in(panel.title, window), panel.unit, await _answers(panel.queries, window, prometheus))
        for panel in chosen(read_board(DASHBOARDS / f"{board}.json"), rows)
    ]
    alerts = await _answers([ALERTS], window, prometheus)
    # Each at a height of its own.
    series = [(name, [height * value for value in values]) for height, (name, values) in enumerate(alerts, start=1)]
    panels.append(Drawn("Alerts that fire", "short", series))
    await asyncio.to_thread(draw, panels, window, path)


def chosen(panels: Sequence[Shown], rows: Sequence[str]) -> Iterator[Shown]:
    """Yield the panels that Prometheus can answer, of the rows that are wanted; all when none is named."""
    is_wanted = not rows
    for panel in panels:
        if panel.kind == "row":
            is_wanted = not rows or panel.title in rows
        elif is_wanted and panel.queries:
            yield panel


def draw(panels: Sequence[Drawn], window: Window, path: Path) -> None:
    """Write the panels side by side, in reading order."""
    height = -(-len(panels) // COLUMNS)
    from matplotlib.figure import Figure  # noqa: PLC0415 - half of what collecting the unit tests imports

    figure = Figure(figsize=(COLUMNS * PANEL_INCHES[0], height * PANEL_INCHES[1]), dpi=DPI, layout="constrained")
    for place, panel in enumerate(panels, start=1):
        _draw_panel(figure.add_subplot(height, COLUMNS, place), panel, window)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    Image.open(file).convert("RGB").quantize(COLOURS).save(path, optimize=True)


async def _answers(
    queries: Sequence[ShownQuery], window: Window, prometheus: Prometheus
) -> Sequence[tuple[str, Sequence[float]]]:
    answers = []
    for query in queries:
        expr = _filled_in(query.expr, window)
        found = await prometheus.range(expr, begin_s=window.begin_s, end_s=window.end_s)
        found.sort(key=lambda series: float(series[0].get("le", 0)))
        answers += [(named(query.legend, labels), values) for labels, values in found]
    return answers


def _filled_in(text: str, window: Window) -> str:
    return concrete(text, rate_interval=RATE_INTERVAL, chosen={"stage": window.stage})


def named(legend: str, labels: Mapping[str, str]) -> str:
    """Return the name of a series as the legend says it; of a bucket its bound."""
    name = re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), legend).strip()
    return name or labels.get("le", "")


def _draw_panel(axes: "Axes", panel: Drawn, window: Window) -> None:
    axes.set_title(panel.title if panel.series else f"{panel.title}: no data", fontsize=SMALL + 2)
    for number, (name, values) in enumerate(panel.series):
        label = name if number < LEGEND_ENTRIES else ""
        axes.plot(range(len(values)), values, linewidth=1.2, label=label)
    for at_s in window.marks:
        axes.axvline(at_s, color="grey", linewidth=0.8, linestyle=":")
    axes.set_xlim(0, window.end_s - window.begin_s)
    axes.set_ylim(bottom=min(0.0, axes.dataLim.y0))
    axes.set_ylabel("" if panel.unit == "short" else panel.unit, fontsize=SMALL)
    axes.tick_params(labelsize=SMALL)
    if any(name for name, _ in panel.series):
        axes.legend(fontsize=SMALL - 1, frameon=False)
