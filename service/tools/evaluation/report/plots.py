"""Plots of reports: matplotlib's drawings as inline SVG, the same bytes for the same data.

Colours are the page's own, so a plot follows the theme. A plot is drawn for a width of about 340 pixels, at which its
text is readable on a phone; `blocks.columns` puts several side by side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from service.telemetry.plain_text import one_line
from service.tools.evaluation.report.blocks import Tone
from service.tools.evaluation.report.inline_svg import COLOURS, inline_svg
from service.tools.evaluation.report.page import rendered

_POINTS_AN_INCH = 72
"""Of SVG; so lengths below are pixels of the page."""

_WIDTH, _HEIGHT = 340, 236

_COUNTS_HEIGHT = 0.18
"""Of a reliability diagram: what its counts take, below its lines."""

# matplotlib names every parameter in a type of its own.
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: small, searchable, in the page's font
    "svg.hashsalt": "modstream",  # the same ids in every run
    "text.parse_math": False,  # names with two dollar signs are no formulas
    "axes.edgecolor": COLOURS["line"],
    "axes.labelcolor": COLOURS["soft"],
    "axes.labelsize": 11,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": COLOURS["hair"],
    "grid.linewidth": 1,
    "xtick.color": COLOURS["line"],
    "xtick.labelcolor": COLOURS["soft"],
    "xtick.labelsize": 10.5,
    "ytick.color": COLOURS["line"],
    "ytick.labelcolor": COLOURS["soft"],
    "ytick.labelsize": 10.5,
    "legend.fontsize": 10.5,
    "legend.frameon": False,
    "legend.labelcolor": COLOURS["ink"],
    "text.color": COLOURS["ink"],
    "lines.linewidth": 2,
}


_LABEL_CHARACTERS = 28
"""Of a legend: more would leave a plot no room."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a plot."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    tone: Tone = "ink"
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class VerticalLine:
    """A value on the horizontal axis that a line shows, such as a threshold."""

    label: str
    at: float
    tone: Tone = "ink"
    dashed: bool = False
    """Such as the threshold that was, beside the one that is."""


def plot(
    draw: Callable[[Axes], None], *, title: str, description: str, width: float = _WIDTH, height: float = _HEIGHT
) -> Markup:
    """Return what a function draws on axes, with its title.

    `description` says in words what a reader sees there; it is all that a screen reader has. Width and height are
    pixels.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width / _POINTS_AN_INCH, height / _POINTS_AN_INCH), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        draw(axes)
        drawing = inline_svg(figure, description)
    return rendered("plot.html", title=title, drawing=drawing)


def curves(
    title: str,
    lines: Sequence[Line],
    *,
    x: str,
    y: str,
    description: str,
    points: Sequence[tuple[float, float, str]] = (),
    diagonal: bool = False,
) -> Markup:
    """Return lines in the unit square. `points` are (x, y, label) such as the live threshold's place."""

    def draw(axes: Axes) -> None:
        _unit_square(axes, x, y)
        if diagonal:
            axes.plot([0, 1], [0, 1], color=COLOURS["line"], linewidth=1.5, linestyle=(0, (3, 3)))
        for line in lines:
            _draw_line(axes, line)
        for place_x, place_y, label in points:
            axes.plot(
                [place_x],
                [place_y],
                "o",
                color=COLOURS["accent"],
                markersize=7,
                clip_on=False,  # many a threshold lies in a corner
                label=_label(label),
            )
        _legend(axes)

    return plot(draw, title=title, description=description, height=_WIDTH)


def reliability(
    title: str, lines: Sequence[Line], counts: Sequence[tuple[float, float, int]], *, description: str
) -> Markup:
    """Return a reliability diagram: share of positives against the mean score, with the number of examples below.

    `lines` hold mean scores and shares, such as before and after calibration. `counts` are bins (from, to, examples).
    """

    def draw(axes: Axes) -> None:
        _unit_square(axes, "Score", "Share of positives")
        axes.plot([0, 1], [0, 1], color=COLOURS["line"], linewidth=1.5, linestyle=(0, (3, 3)))
        most = max((count for _, _, count in counts), default=1)
        for low, high, count in counts:
            height = _COUNTS_HEIGHT * count / max(most, 1)
            axes.stairs([height], [low, high], fill=True, color=COLOURS["track"], zorder=0.5)
        for line in lines:
            _draw_line(axes, line, marker="o")
        _legend(axes)

    return plot(draw, title=title, description=description, height=_WIDTH)


def distribution(
    title: str,
    edges: Sequence[float],
    counts: Sequence[int],
    thresholds: Sequence[VerticalLine] = (),
    *,
    description: str,
) -> Markup:
    """Return counts of scores on a logarithmic axis; `counts[i]` lie between `edges[i]` and `edges[i + 1]`."""

    def draw(axes: Axes) -> None:
        axes.set_yscale("symlog", linthresh=1)
        axes.stairs(counts, edges, fill=True, color=COLOURS["tone"])
        axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 3 * max([1, *counts])), xlabel="Score", ylabel="Images")
        axes.grid(visible=False, axis="x")
        axes.yaxis.set_major_formatter(FuncFormatter(_short))
        for line in thresholds:
            axes.axvline(
                line.at, color=COLOURS[line.tone], linestyle=_dashes(dashed=line.dashed), label=_label(line.label)
            )
        _legend(axes, above=True)

    return plot(draw, title=title, description=description)


def _unit_square(axes: Axes, x: str, y: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=x, ylabel=y)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _draw_line(axes: Axes, line: Line, marker: str | None = None) -> None:
    style = _dashes(dashed=line.dashed)
    colour = COLOURS[line.tone]
    axes.plot(
        line.x,
        line.y,
        color=colour,
        linestyle=style,
        marker=marker,
        markersize=4,
        label=_label(line.label),
    )


def _dashes(*, dashed: bool) -> str | tuple[int, tuple[int, int]]:
    return (0, (2, 2)) if dashed else "-"


def _legend(axes: Axes, *, above: bool = False) -> None:
    if axes.get_legend_handles_labels()[1]:
        over = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 2, "borderaxespad": 0}
        place: dict[str, Any] = over if above else {}
        axes.legend(**place, handlelength=1.4)


def _label(text: str) -> str:
    return one_line(text, at_most=_LABEL_CHARACTERS)


def _short(count: float, _: object = None) -> str:
    """Return a count as an axis has it."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= unit:
            return f"{count / unit:g}{name}"
    return f"{count:g}"
