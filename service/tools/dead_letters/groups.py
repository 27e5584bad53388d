"""Pure: dead letters counted by the kind of their failure, and the newest of them."""

import heapq
from dataclasses import dataclass
from datetime import datetime

from service.tools.dead_letters.fingerprint import normalised
from service.tools.dead_letters.letter import StoredDeadLetter


@dataclass
class Group:
    """Letters with one fingerprint."""

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
    """Counts letters as they come."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}

    def add(self, letter: StoredDeadLetter) -> None:
        """Count one."""
        group = self._groups.get(letter.fingerprint)
        if group is None:
            self._groups[letter.fingerprint] = _begun_by(letter)
            return
        group.count += 1
        group.first = min(group.first, letter.failed_at)
        if letter.failed_at >= group.last:
            group.last, group.example = letter.failed_at, letter.place

    def largest_first(self) -> list[Group]:
        """Return the groups."""
        return sorted(self._groups.values(), key=lambda group: (-group.count, group.fingerprint))


def _begun_by(letter: StoredDeadLetter) -> Group:
    return Group(
        fingerprint=letter.fingerprint,
        reason=letter.reason,
        error_class=letter.error_class,
        message=normalised(letter.message),
        count=1,
        first=letter.failed_at,
        last=letter.failed_at,
        example=letter.place,
    )


class Newest:
    """Keeps so many, by the time of failure."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._heap: list[tuple[tuple[float, int, int], StoredDeadLetter]] = []
        self.seen = 0

    def add(self, letter: StoredDeadLetter) -> None:
        """Take note of one more."""
        self.seen += 1
        record = letter.record
        entry = (letter.failed_at.timestamp(), record.partition, record.offset), letter
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def oldest_first(self) -> list[StoredDeadLetter]:
        """Return those that were kept."""
        return [letter for _, letter in sorted(self._heap)]
