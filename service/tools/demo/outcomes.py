"""The outcomes of the demo's events by key, and the lost and duplicated ones. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.client.outcomes import DeadLetter, Outcome


@dataclass(slots=True)
class Outcomes:
    """Outcomes by the key of the event that they answer."""

    sent: frozenset[str]
    verdicts: dict[str, VerdictV1] = field(default_factory=dict)
    tags: dict[str, TagsV1] = field(default_factory=dict)
    dead_letters: dict[str, DeadLetter] = field(default_factory=dict)
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, key: str, outcome: Outcome) -> None:
        """Count an outcome; a verdict and a dead letter for one event count as two of the same."""
        match outcome:
            case VerdictV1():
                self.verdicts[key] = outcome
            case TagsV1():
                self.tags[key] = outcome
            case DeadLetter():
                self.dead_letters[key] = outcome
        self._counts["tags" if isinstance(outcome, TagsV1) else "answer", key] += 1

    @property
    def answered(self) -> int:
        """The number of events with a verdict or dead letter."""
        return len(self.verdicts.keys() | self.dead_letters.keys())

    @property
    def complete(self) -> bool:
        """Whether every event has its verdict and tags, or its dead letter."""
        return not self.lost

    @property
    def lost(self) -> list[str]:
        """The keys of events without verdict and dead letter, or with a verdict whose tags are missing."""
        whole = (self.verdicts.keys() & self.tags.keys()) | self.dead_letters.keys()
        return sorted(self.sent - whole)

    @property
    def duplicated(self) -> int:
        """The number of outcomes beyond the one that each event may have."""
        return sum(count - 1 for count in self._counts.values())

    def decisions(self) -> Counter[str]:
        """Count verdicts by decision."""
        return Counter(verdict.decision for verdict in self.verdicts.values())

    def summary(self, seconds: float) -> str:
        """Return the demo's last line, which scripts read."""
        return (
            f"demo: {len(self.sent)} events = {len(self.verdicts)} verdicts + {len(self.dead_letters)} dead letters; "
            f"lost {len(self.lost)}, duplicated {self.duplicated}; {seconds:.1f} s"
        )


def gravest_first(verdicts: Iterable[tuple[str, VerdictV1]]) -> list[tuple[str, VerdictV1]]:
    """Order verdicts: blocked, to review, allowed; the surest first in each."""
    order = {"block": 0, "review": 1, "allow": 2}
    return sorted(verdicts, key=lambda item: (order[item[1].decision], -max(item[1].scores.values(), default=0.0)))
