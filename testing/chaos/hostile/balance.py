"""Pure: every record of the uploads topic by its coordinates, and the outcomes that were committed for it."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Outcome = Literal["verdict", "dead letter"]
GOOD = ("inline", "by URL")
"""Kinds of traffic that have to end in a verdict; all others are hostile and may end either way."""


class Place(NamedTuple):
    """The coordinates of an input record."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one kind of record."""

    fed: int
    verdicts: int
    dead_letters: int
    seconds: Sequence[float]
    """From publication to the outcome, as a reader sees it."""

    def quantile(self, share: float) -> float:
        """Return the time within which that share of the records had their outcome, in seconds; 0 without any."""
        if len(self.seconds) < 2:
            return max(self.seconds, default=0.0)
        return statistics.quantiles(self.seconds, n=1000, method="inclusive")[min(round(share * 1000), 999) - 1]


@dataclass(frozen=True, slots=True)
class Balance:
    """Records that did not end as they should; the promise is that all of these are empty."""

    lost: tuple[Place, ...]
    """Without an outcome, of any kind of traffic."""
    duplicated: tuple[Place, ...]
    """With more than one outcome."""
    refused: Mapping[Place, str]
    """Good ones that became dead letters, with the reason."""
    unknown: tuple[Place, ...]
    """Outcomes of records that were never fed."""

    @property
    def holds(self) -> bool:
        """Whether every record has exactly its outcome."""
        return not (self.lost or self.duplicated or self.refused or self.unknown)


@dataclass
class HostileCounts:
    """Counts what was fed and what came of it; times are by one monotonic clock, in seconds."""

    fed: dict[Place, tuple[str, float]] = field(default_factory=dict)
    outcomes: dict[Place, list[tuple[Outcome, str, float]]] = field(default_factory=lambda: defaultdict(list))

    def feed(self, place: Place, kind: str, at_s: float) -> None:
        """Take note of a record that was published."""
        self.fed[place] = (kind, at_s)

    def count(self, place: Place, outcome: Outcome, reason: str, at_s: float) -> None:
        """Take note of a committed outcome; the reason is empty for verdicts."""
        self.outcomes[place].append((outcome, reason, at_s))

    @property
    def unfinished(self) -> int:
        """How many records have no outcome yet."""
        return sum(place not in self.outcomes for place in self.fed)

    def balance(self) -> Balance:
        """Compare."""
        refused = {
            place: found[0][1]
            for place, found in self.outcomes.items()
            if place in self.fed and self.fed[place][0] in GOOD and found[0][0] == "dead letter"
        }
        return Balance(
            lost=tuple(sorted(self.fed.keys() - self.outcomes.keys())),
            duplicated=tuple(sorted(place for place, found in self.outcomes.items() if len(found) > 1)),
            refused=refused,
            unknown=tuple(sorted(self.outcomes.keys() - self.fed.keys())),
        )

    def rows(self) -> Mapping[str, Row]:
        """Return what became of every kind."""
        return {kind: self._row(kind) for kind in dict.fromkeys(kind for kind, _ in self.fed.values())}

    def reasons(self) -> Counter[str]:
        """Return how many dead letters there are by reason."""
        return Counter(reason for found in self.outcomes.values() for _, reason, _ in found if reason)

    def _row(self, kind: str) -> Row:
        fed = {place: at_s for place, (each, at_s) in self.fed.items() if each == kind}
        found = {place: self.outcomes[place][0] for place in fed if place in self.outcomes}
        return Row(
            fed=len(fed),
            verdicts=sum(outcome == "verdict" for outcome, _, _ in found.values()),
            dead_letters=sum(outcome == "dead letter" for outcome, _, _ in found.values()),
            seconds=[at_s - fed[place] for place, (_, _, at_s) in found.items()],
        )
