"""Pure: the newest of many letters, without keeping the others."""

import heapq

from service.tools.dead_letters.letter import StoredDeadLetter


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
