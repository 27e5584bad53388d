"""Groups finished records into commits: by bytes, by time, and within the limits that all partitions share."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, takewhile

from service.core.records import OutgoingRecord, Partition
from service.delivery.resolution import FinishedRecord
from service.kafka.topic_limits import TopicLimits
from service.settings.delivery import CommitSettings


def published(batch: Iterable[FinishedRecord]) -> int:
    """Return the bytes of all outcomes of these records."""
    return sum(each.published_bytes for each in batch)


def within(batch: list[FinishedRecord], max_bytes: int) -> list[list[FinishedRecord]]:
    """Split records into the first ones that take at most `max_bytes` together, at least one, and the rest."""
    totals = accumulate(each.published_bytes for each in batch)
    count = max(sum(1 for _ in takewhile(lambda total: total <= max_bytes, totals)), 1)
    return [part for part in (batch[:count], batch[count:]) if part]


def halves(batch: list[FinishedRecord]) -> list[list[FinishedRecord]]:
    """Return the two halves of a batch of at least two records."""
    middle = len(batch) // 2
    return [batch[:middle], batch[middle:]]


def around(batch: list[FinishedRecord], refused: Iterable[OutgoingRecord]) -> list[list[FinishedRecord]]:
    """Return what stands before the refused outcomes, what holds them, and what stands behind; halves if all do.

    The order is kept, because outcomes of one key are published in it.
    """
    ids = {id(record) for record in refused}
    holders = [n for n, each in enumerate(batch) if any(id(record) in ids for record in each.resolution.outcomes)]
    first, last = (holders[0], holders[-1] + 1) if holders else (0, len(batch))
    if (first, last) == (0, len(batch)):
        return halves(batch)
    return [part for part in (batch[:first], batch[first:last], batch[last:]) if part]


_TARGET_SHARE = 0.25
"""Share of the time limit. After a commit that takes longer, batches shrink before one is given up."""

_GROWTH = 16
"""The limit grows from the least to 8 MiB in eighty commits; faster growth would soon reach too large batches again."""

LEAST_BYTES = 64 * 1024
"""A transaction of this size that takes too long is not slow for its size, so no smaller one is tried."""


class BatchSize:
    """The size of one partition's next batch, between `LEAST_BYTES` and the setting's bytes."""

    def __init__(self, max_bytes: int, *, timeout_s: float) -> None:
        self._max_bytes = max_bytes
        self._target_s = _TARGET_SHARE * timeout_s
        self._bytes = max_bytes

    @property
    def max_bytes(self) -> int:
        """The bytes that the next transaction may hold; a single outcome may be larger."""
        return self._bytes

    def committed(self, size_bytes: int, *, took_s: float) -> None:
        """Record the duration of a commit, and adapt the size so that the next one takes at most the target's time."""
        if took_s > self._target_s:
            self._set(int(size_bytes * self._target_s / took_s))
        elif 2 * size_bytes >= self._bytes:
            self._set(self._bytes + self._bytes // _GROWTH)

    def timed_out(self, size_bytes: int) -> bool:
        """Record a commit that timed out; return True if a smaller batch should be tried."""
        if size_bytes <= LEAST_BYTES:
            return False
        self._set(size_bytes // 2)
        return True

    def _set(self, size_bytes: int) -> None:
        self._bytes = min(max(size_bytes, LEAST_BYTES), self._max_bytes)


_SHARES = 4
"""A partition whose commits stand still takes a quarter, so that the others go on."""


class CommitBacklog:
    """The bytes of finished records of all partitions that wait for their commit."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held_bytes = 0
        """Bytes that wait for their commit in all partitions together."""

    def has_room(self, partition_bytes: int) -> bool:
        """Return whether a partition that holds this number of bytes may read further records."""
        return self.held_bytes < self._max_bytes and _SHARES * partition_bytes < self._max_bytes


_PARTITIONS_AT_FULL_PACE = 2
"""Partitions that commit at the full rate: at 20 Hz two take an eighth of a core, at 3 ms a transaction."""

_MAX_INTERVAL_S = 0.5
"""Outcomes of a process with many partitions wait no longer than this, unless the setting says so."""

_MEMORY_S = 1.0
"""A partition that has not committed for so long costs nothing."""


class CommitPace:
    """The interval between commits, shared by all partitions; it grows with the number that commit."""

    def __init__(self, interval_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shortest_s = interval_s
        self._clock = clock
        self._committed_at_s: dict[str, float] = {}

    def interval_s(self, partition: str) -> float:
        """Return the seconds from the commit that a partition begins now to its next one."""
        now_s = self._clock()
        self._committed_at_s[partition] = now_s
        active = sum(now_s - then_s < _MEMORY_S for then_s in self._committed_at_s.values())
        stretched_s = self._shortest_s * active / _PARTITIONS_AT_FULL_PACE
        return max(self._shortest_s, min(stretched_s, _MAX_INTERVAL_S))


FindOutage = Callable[[], Awaitable[str | None]]
"""Returns why the output topics take no records although brokers answer; None where no reason is found."""


@dataclass(frozen=True, slots=True)
class CommitResources:
    """What the committers of all partitions share."""

    settings: CommitSettings
    pace: CommitPace
    backlog: CommitBacklog
    limits: TopicLimits
    find_outage: FindOutage
    on_committed: Callable[[Partition, Sequence[FinishedRecord]], None]
    """Called once for each commit, with the records whose outcomes it published."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a partition opens or commits, so that more of it may be read."""
