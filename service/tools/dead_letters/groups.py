"""Pure: dead letters counted by the kind of their failure, and the newest of them."""

import heapq
from dataclasses import dataclass
from datetime import datetime

from service.tools.dead_letters.dead_letter import StoredDeadLetter
from service.tools.dead_letters.fingerprint import normalised


@dataclass
class Group:
    """The dead letters with one fingerprint."""

    fingerprint: str
    reason: str
    error_class: str
    message: str
    """Without its particulars."""
    count: int
    first: datetime
    last: datetime
    example: str
    """Where the newest of them stands, as `show` takes it."""


class Groups:
    """Counts dead letters by fingerprint."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}

    def add(self, dead_letter: StoredDeadLetter) -> None:
        """Count one dead letter."""
        group = self._groups.get(dead_letter.fingerprint)
        if group is None:
            self._groups[dead_letter.fingerprint] = _begun_by(dead_letter)
            return
        group.count += 1
        group.first = min(group.first, dead_letter.failed_at)
        if dead_letter.failed_at >= group.last:
            group.last, group.example = dead_letter.failed_at, dead_letter.place

    def largest_first(self) -> list[Group]:
        """Return the groups, the largest first."""
        return sorted(self._groups.values(), key=lambda group: (-group.count, group.fingerprint))


def _begun_by(dead_letter: StoredDeadLetter) -> Group:
    return Group(
        fingerprint=dead_letter.fingerprint,
        reason=dead_letter.reason,
        error_class=dead_letter.error_class,
        message=normalised(dead_letter.message),
        count=1,
        first=dead_letter.failed_at,
        last=dead_letter.failed_at,
        example=dead_letter.place,
    )


class Newest:
    """Keeps a number of dead letters, the newest by the time of failure."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._heap: list[tuple[tuple[float, int, int], StoredDeadLetter]] = []
        self.seen = 0

    def add(self, dead_letter: StoredDeadLetter) -> None:
        """Add one dead letter, and drop the oldest if there are too many."""
        self.seen += 1
        record = dead_letter.record
        entry = (dead_letter.failed_at.timestamp(), record.partition, record.offset), dead_letter
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def oldest_first(self) -> list[StoredDeadLetter]:
        """Return the kept dead letters, the oldest first."""
        return [dead_letter for _, dead_letter in sorted(self._heap)]
