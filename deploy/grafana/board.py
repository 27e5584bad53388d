"""What a dashboard is, independent of Grafana's JSON: rows of panels, each with its queries and its advice."""

from dataclasses import dataclass
from enum import Enum, auto

FULL_WIDTH = 24
"""Columns of Grafana's grid."""


class Kind(Enum):
    """How a panel shows its queries."""

    NUMBER = auto()
    LINES = auto()
    STACK = auto()
    """Areas on top of each other: the parts of a whole."""
    HEATMAP = auto()
    TABLE = auto()
    NOTE = auto()
    """Text alone."""
    TRACES = auto()
    """A list of traces that a search found."""
    TRACE = auto()
    """One trace as a waterfall."""


class Source(Enum):
    """Where a query is sent; each is a variable of the dashboard, so that its owner can choose."""

    PROMETHEUS = "prometheus"
    TEMPO = "tempo"
    JAEGER = "jaeger"


@dataclass(frozen=True, slots=True)
class Query:
    """One question to a data source, and how its answers are called in the legend."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """From here upwards a value has this colour."""

    value: float
    colour: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One field of the grid."""

    title: str
    advice: str
    """What is normal, and what to do when it is not."""
    queries: tuple[Query, ...] = ()
    kind: Kind = Kind.LINES
    unit: str = "short"
    """As Grafana names units: short, s, bytes, percentunit, reqps."""
    width: int = 8
    height: int = 8
    limits: tuple[Limit, ...] = ()
    top: float | None = None
    """Upper end of the axis, where it is known."""
    source: Source = Source.PROMETHEUS
    text: str = ""
    """What a note says, in Markdown."""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """Something that the reader chooses at the top of the page."""

    name: str
    label: str
    query: str = ""
    """A query of Prometheus for label values; without one the reader types, or takes one of `options`."""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard."""

    uid: str
    title: str
    summary: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    sources: tuple[Source, ...] = (Source.PROMETHEUS,)
    since: str = "now-3h"
