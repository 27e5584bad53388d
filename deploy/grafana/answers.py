"""What Prometheus answers to a panel's queries, for pictures."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode
from urllib.request import urlopen

from deploy.grafana.reading import Shown, concrete

# As many points as a panel of a picture has room for.
POINTS = 120
TIMEOUT_S = 30.0

ModelRequest = Callable[[str, Mapping[str, str]], list[Mapping[str, object]]]
"""Asks one endpoint of the API and returns its result."""


@dataclass(frozen=True, slots=True)
class Line:
    """One series, named as the legend says."""

    name: str
    labels: Mapping[str, str]
    seconds: tuple[float, ...]
    """Since the beginning of the picture."""
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """The time that a picture shows."""

    begin_s: float
    end_s: float
    rate_interval_s: float
    chosen: Mapping[str, str]
    """What stands for the dashboard's variables."""


def asking(url: str) -> ModelRequest:
    """Return what asks the Prometheus at this address."""

    def ask(what: str, asked: Mapping[str, str]) -> list[Mapping[str, object]]:
        query = f"{url.rstrip('/')}/api/v1/{what}?{urlencode(asked)}"
        with urlopen(query, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the address that the caller gave
            found: list[Mapping[str, object]] = json.load(answer)["data"]["result"]
        return found

    return ask


def lines(panel: Shown, window: Window, ask: ModelRequest) -> list[Line]:
    """Return everything that a panel shows, over time."""
    step_s = max((window.end_s - window.begin_s) / POINTS, 1.0)
    times = {"start": f"{window.begin_s:.3f}", "end": f"{window.end_s:.3f}", "step": f"{step_s:.3f}"}
    found: list[Line] = []
    for query in panel.queries:
        expr = concrete(query.expr, rate_interval=f"{window.rate_interval_s:g}s", chosen=window.chosen)
        found += [_line(series, query.legend, window) for series in ask("query_range", {"query": expr, **times})]
    return found


def _line(series: Mapping[str, object], legend: str, window: Window) -> Line:
    labels, points = series["metric"], series["values"]
    if not isinstance(labels, dict) or not isinstance(points, list):
        raise TypeError(series)
    return Line(
        name=re.sub(r"\{\{(\w+)\}\}", lambda match: str(labels.get(match[1], "")), legend).strip(),
        labels={str(name): str(value) for name, value in labels.items()},
        seconds=tuple(float(at_s) - window.begin_s for at_s, _ in points),
        values=tuple(float(value) for _, value in points),
    )


def last(line: Line) -> float:
    """Return the newest number of a series."""
    return next((value for value in reversed(line.values) if math.isfinite(value)), math.nan)
