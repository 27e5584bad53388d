"""A dashboard's JSON, read back: what tests and pictures need of it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ShownQuery:
    """One query to Prometheus."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel at its place in the grid."""

    title: str
    kind: str
    """Grafana's name of it: timeseries, stat, heatmap, table, text, traces."""
    description: str
    queries: tuple[ShownQuery, ...]
    unit: str
    x: int
    y: int
    width: int
    height: int

    def cells(self) -> Iterator[tuple[int, int]]:
        """Yield the cells of the grid that it covers."""
        for column in range(self.x, self.x + self.width):
            for line in range(self.y, self.y + self.height):
                yield column, line


def read_board(path: Path) -> tuple[Shown, ...]:
    """Return the panels of a dashboard's file, headings among them; those of folded rows last."""
    return tuple(_panels(json.loads(path.read_text(encoding="utf-8"))["panels"]))


def concrete(expr: str, *, rate_interval: str, chosen: Mapping[str, str] | None = None) -> str:
    """Put values in place of Grafana's variables; variables without a choice match everything."""
    values = {"__rate_interval": rate_interval, **(chosen or {})}
    return re.sub(r"\$\{?(\w+)\}?", lambda match: values.get(match[1], ".*"), expr)


def _panels(listed: list[dict[str, Any]]) -> Iterator[Shown]:
    for panel in listed:
        yield _shown(panel)
    for panel in listed:
        yield from _panels(panel.get("panels") or [])


def _shown(panel: dict[str, Any]) -> Shown:
    place = panel["gridPos"]
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    queries = [
        ShownQuery(target["expr"], target.get("legendFormat", ""))
        for target in panel.get("targets") or ()
        if target["datasource"]["type"] == "prometheus"
    ]
    return Shown(
        title=panel["title"],
        kind=panel["type"],
        description=panel.get("description", ""),
        queries=tuple(queries),
        unit=defaults.get("unit", "short"),
        x=place["x"],
        y=place["y"],
        width=place["w"],
        height=place["h"],
    )
