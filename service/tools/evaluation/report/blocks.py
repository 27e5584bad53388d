"""Blocks of a report: tables with meters, notes, facts, and how blocks stand beside or behind each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from service.tools.evaluation.report.page import Block, rendered

Tone = Literal["ink", "soft", "accent", "allow", "review", "block"]
"""A colour of both themes; the last three are those of decisions."""


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a table's column."""

    title: str
    numeric: bool = False
    """Its cells are figures, which end at the same place."""


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """One large figure with its name."""

    value: str
    name: str
    tone: Tone = "ink"


def figures(*shown: KeyFigure) -> Markup:
    """Return large figures in a row."""
    return rendered("figures.html", figures=shown)


def table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Block]]) -> Markup:
    """Return a table. The first cell of a row is its head; cells are texts, meters or links."""
    return rendered("table.html", caption=caption, columns=columns, rows=rows)


def facts(values: Mapping[str, Block]) -> Markup:
    """Return names with values."""
    return rendered("facts.html", facts=values)


def note(text: Block, *, warning: bool = False) -> Markup:
    """Return a remark; a warning is marked as one."""
    return rendered("note.html", text=text, warning=warning)


def columns(*blocks: Block) -> Markup:
    """Return blocks side by side where there is room, such as plots."""
    return rendered("columns.html", blocks=blocks)


def disclosure(summary: str, *blocks: Block) -> Markup:
    """Return blocks that are shown when their summary is clicked."""
    return rendered("disclosure.html", summary=summary, blocks=blocks)


def link(text: str, anchor: str) -> Markup:
    """Return a link to a section of the same report."""
    return rendered("link.html", text=text, anchor=anchor)


def meter(share: float, *, tone: Tone = "ink") -> Markup:
    """Return a meter for a table's cell; `share` in [0, 1] of the cell's width. The number belongs in another cell."""
    return rendered("meter.html", parts=[(0.0, _bounded(share), tone)])


def stacked_meter(parts: Sequence[tuple[float, Tone]]) -> Markup:
    """Return a meter of several parts; each has its share in [0, 1] of the cell's width."""
    placed, start = [], 0.0
    for share, tone in parts:
        placed.append((start, _bounded(share), tone))
        start += _bounded(share)
    return rendered("meter.html", parts=placed)


def interval_meter(low: float, value: float, high: float, *, tone: Tone = "ink") -> Markup:
    """Return a value in [0, 1] with its interval, for a table's cell."""
    return rendered("interval_meter.html", low=_bounded(low), value=_bounded(value), high=_bounded(high), tone=tone)


def _bounded(share: float) -> float:
    return min(1.0, max(0.0, share)) if share == share else 0.0  # noqa: PLR0124 - NaN is the one value unlike itself
