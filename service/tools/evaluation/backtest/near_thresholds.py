"""The images whose scores lie nearest to the thresholds of a policy."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import floor

from service.tools.evaluation.backtest.decided_verdicts import DecidedVerdicts
from service.tools.evaluation.backtest.policy_sql import double, sql
from service.tools.evaluation.backtest.result import ImageChange, NearThreshold
from service.tools.evaluation.backtest.score_spread import FINE_BINS, Histogram


@dataclass(frozen=True, slots=True)
class NearestRows:
    """A threshold for review or block, and the rows nearest to it."""

    category: str
    outcome: str
    threshold: float
    keys: Sequence[int] = ()


def nearest(verdicts: DecidedVerdicts, found: Mapping[str, Histogram], each_side: int) -> list[NearestRows]:
    """Return the rows nearest to each threshold for review or block, from both sides; of equal ones the earlier offset.

    The histograms say which scores can be among the nearest, so few rows are compared.
    """
    thresholds = [
        NearestRows(name, outcome, threshold)
        for name in verdicts.ruled
        for outcome, threshold in verdicts.policy.categories[name].thresholds()
        if outcome != "label"
    ]
    if not thresholds or not each_side:
        return []
    windows = [
        _window(verdicts.scores[each.category], each.threshold, found[each.category], each_side) for each in thresholds
    ]
    order = "{{'distance': {}, 'source_offset': source_offset}}"
    wanted = [
        f"arg_min(row_key, {order.format(distance)}, {each_side}) FILTER ({where})"
        for window in windows
        for where, distance in window.sides
    ]
    rows = verdicts.stored.filter(" OR ".join(dict.fromkeys(window.where for window in windows)))
    (keys,) = rows.aggregate(", ".join(wanted)).fetchall()
    return [
        replace(each, keys=[*dict.fromkeys(over or ()), *dict.fromkeys(under or ())])
        for each, over, under in zip(thresholds, keys[::2], keys[1::2], strict=True)
    ]


def near_thresholds(near: Iterable[NearestRows], images: Mapping[int, ImageChange]) -> tuple[NearThreshold, ...]:
    """Return the images of the rows nearest to thresholds; the nearest first."""
    found = [
        NearThreshold(images[key], each.category, each.outcome, each.threshold, images[key].scores[each.category])  # type: ignore[arg-type]  # review or block
        for each in near
        for key in each.keys
    ]
    return tuple(sorted(found, key=lambda near: abs(near.score - near.threshold)))


@dataclass(frozen=True, slots=True)
class _Window:
    """Scores about a threshold among which are the nearest on both sides."""

    score: str
    threshold: str
    lowest_bin: int
    highest_bin: int

    @property
    def where(self) -> str:
        return f"({self._above_lowest} AND {self._below_highest})"

    @property
    def sides(self) -> Sequence[tuple[str, str]]:
        """Conditions, and distances from the threshold: of the scores that reach it, and of the others."""
        return (
            (f"{self.score} >= {self.threshold} AND {self._below_highest}", f"{self.score} - {self.threshold}"),
            (f"{self.score} < {self.threshold} AND {self._above_lowest}", f"{self.threshold} - {self.score}"),
        )

    @property
    def _above_lowest(self) -> str:
        return f"{self.score} * {FINE_BINS} >= {self.lowest_bin}"

    @property
    def _below_highest(self) -> str:
        # The highest bin also has the score of 1.
        return f"{self.score} * {FINE_BINS} < {self.highest_bin + 1 + (self.highest_bin == FINE_BINS - 1)}"


def _window(score: str, threshold: float, counts: Histogram, each_side: int) -> _Window:
    """Return the bins about a threshold that have enough scores, without the threshold's own, which has both sides."""
    own = min(floor(threshold * FINE_BINS), FINE_BINS - 1)
    lowest = next((place for place in range(own, 0, -1) if sum(counts[place:own]) >= each_side), 0)
    last = FINE_BINS - 1
    highest = next((place for place in range(own, last) if sum(counts[own + 1 : place + 1]) >= each_side), last)
    return _Window(score, sql(double(threshold), "duckdb"), lowest, highest)
