"""Draws a dashboard as Grafana would lay it out, from the answers of a real Prometheus.

`python -m deploy.grafana.pictures service --prometheus http://localhost:9090 --minutes 30 --out service.png`: for
documents, and for places without Grafana.
"""

import argparse
import io
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from deploy.grafana.__main__ import DASHBOARDS
from deploy.grafana.answers import ModelRequest, Window, asking, lines
from deploy.grafana.board import FULL_WIDTH
from deploy.grafana.drawing import GREY, SMALL, draw
from deploy.grafana.reading import Shown, ShownQuery, concrete, read_board

COLUMN_INCHES, LINE_INCHES = 0.62, 0.34
# Between panels, in inches; below is room for the axis.
GAP, BELOW, LEFT = 0.12, 0.22, 0.55
ALERT_LINES = 4
DPI = 90
# As many as lines and letters need; a third of the size of all.
COLOURS = 128
RED = "#e02f44"
# Inches for the names of alerts.
NAMES = 2.2
FIRING = ShownQuery('ALERTS{alertstate="firing", alertname=~"Modstream.*"}', "{{alertname}}")

MINUTE_S = 60.0
# Four scrapes of 15 s, as Grafana chooses it.
RATE_INTERVAL_S = 60.0
# What is chosen on a dashboard that was just opened.
CHOSEN: Mapping[str, str] = MappingProxyType({"stage": "engine"})


def picture(
    board: str,
    window: Window,
    ask: ModelRequest,
    *,
    rows: Sequence[str] = (),
    marks: Mapping[str, float] | None = None,
    numbers_at_s: float | None = None,
    alerts: bool = False,
) -> Figure:
    """Draw a dashboard, or some of its rows.

    `marks` are moments in seconds since the beginning, with their names; single numbers are those of the end, unless
    another moment is given.
    """
    story = _Story(window, window if numbers_at_s is None else _until(window, numbers_at_s), ask, marks or {})
    panels = list(_chosen(read_board(DASHBOARDS / f"{board}.json"), rows))
    height = max(panel.y + panel.height for panel in panels) + (ALERT_LINES if alerts else 0)
    figure = Figure(figsize=(FULL_WIDTH * COLUMN_INCHES, height * LINE_INCHES), dpi=DPI, facecolor="#ffffff")
    for panel in panels:
        if panel.kind == "row":
            figure.text(0.005, 1 - (panel.y + 0.75) / height, panel.title, fontsize=SMALL + 4, weight="bold")
            continue
        _draw_panel(_axes(figure, panel, height), panel, story)
    if alerts:
        _draw_alerts(_strip(figure, height), story)
    return figure


@dataclass(frozen=True, slots=True)
class _Story:
    """What a picture tells of."""

    window: Window
    numbers: Window
    """Of single numbers, which are those of its end."""
    ask: ModelRequest
    marks: Mapping[str, float]


def _until(window: Window, seconds: float) -> Window:
    return replace(window, end_s=window.begin_s + seconds)


def _draw_panel(axes: Axes, panel: Shown, story: _Story) -> None:
    window = story.window
    named = replace(panel, title=concrete(panel.title, rate_interval="", chosen=window.chosen))
    answered = lines(panel, story.numbers if panel.kind == "stat" else window, story.ask)
    draw(axes, named, answered, until_s=window.end_s - window.begin_s)
    if panel.kind in {"timeseries", "heatmap"}:
        _mark(axes, story.marks)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG that is small enough for a repository."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    Image.open(file).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def _chosen(panels: Sequence[Shown], rows: Sequence[str]) -> Iterator[Shown]:
    """Yield what Prometheus can answer, of the rows that are wanted, moved up to where there is room."""
    wanted, lifted, end = not rows, 0, 0
    for panel in panels:
        if panel.kind == "row":
            wanted = not rows or panel.title in rows
            lifted = panel.y - end if wanted else lifted
        if wanted and (panel.queries or panel.kind == "row"):
            end = max(end, panel.y - lifted + panel.height)
            yield replace(panel, y=panel.y - lifted)


def _axes(figure: Figure, panel: Shown, height: int) -> Axes:
    """Return axes at a panel's place in the grid."""
    wide, high = figure.get_size_inches()
    left = panel.x * COLUMN_INCHES + (LEFT if panel.kind in {"timeseries", "heatmap"} else GAP)
    right = (panel.x + panel.width) * COLUMN_INCHES - GAP
    top = (height - panel.y) * LINE_INCHES - 2 * GAP
    bottom = (height - panel.y - panel.height) * LINE_INCHES + BELOW
    return figure.add_axes((left / wide, bottom / high, (right - left) / wide, (top - bottom) / high))


def _strip(figure: Figure, height: int) -> Axes:
    """Return axes below all panels, with room for the names of alerts."""
    wide, high = figure.get_size_inches()
    top, bottom = ALERT_LINES * LINE_INCHES - 2 * GAP, BELOW
    return figure.add_axes((NAMES / wide, bottom / high, 1 - (NAMES + GAP) / wide, (top - bottom) / high))


def _mark(axes: Axes, marks: Mapping[str, float]) -> None:
    for at_s in marks.values():
        axes.axvline(at_s, color=GREY, linewidth=0.8, linestyle=":")


def _draw_alerts(axes: Axes, story: _Story) -> None:
    """Draw which alert fired when, as Grafana marks it on every panel."""
    asked = Shown("Alerts that fire", "timeseries", "", (FIRING,), "short", False, (), 0, 0, FULL_WIDTH, ALERT_LINES)
    fired = lines(asked, story.window, story.ask)
    names = sorted({line.name for line in fired})
    for line in fired:
        row = [names.index(line.name)] * len(line.seconds)
        axes.scatter(line.seconds, row, marker="s", s=12, color=RED)
    axes.set_title(asked.title, fontsize=SMALL + 1, loc="left")
    axes.set_yticks(range(len(names)), names, fontsize=SMALL)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, story.window.end_s - story.window.begin_s)
    axes.tick_params(labelsize=SMALL, length=2)
    for name, at_s in story.marks.items():
        axes.text(at_s, -0.45, f" {name}", fontsize=SMALL, color=GREY, va="top")
    _mark(axes, story.marks)


def main(arguments: list[str]) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.grafana.pictures", description=__doc__)
    parser.add_argument("board", choices=sorted(path.stem for path in DASHBOARDS.glob("*.json")))
    parser.add_argument("--prometheus", default="http://localhost:9090")
    parser.add_argument("--minutes", type=float, default=60.0, help="how far back")
    parser.add_argument("--row", action="append", default=[], help="only this row; again for each further one")
    parser.add_argument("--out", type=Path, required=True, help="a PNG file")
    given = parser.parse_args(arguments)
    now_s = time.time()
    window = Window(now_s - given.minutes * MINUTE_S, now_s, RATE_INTERVAL_S, CHOSEN)
    save(picture(given.board, window, asking(given.prometheus), rows=given.row, alerts=True), given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
