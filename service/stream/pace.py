"""How often partitions commit: seldom enough that transactions leave the processor to the work."""

import time
from collections.abc import Callable

_PARTITIONS_AT_FULL_PACE = 2
"""At 20 Hz two partitions spend an eighth of a core on transactions, which cost 3 ms each whatever they hold."""

_MAX_INTERVAL_S = 0.5
"""Outcomes of a process with many partitions wait no longer than this, unless the setting says so."""

_MEMORY_S = 1.0
"""A partition that has not committed for so long costs nothing."""


class CommitPace:
    """The interval that all partitions of a process share; it grows with how many of them commit."""

    def __init__(self, interval_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shortest_s = interval_s
        self._clock = clock
        self._committed_at_s: dict[str, float] = {}

    def interval_s(self, partition: str) -> float:
        """Return the time from the commit that a partition begins now to its next one."""
        now_s = self._clock()
        self._committed_at_s[partition] = now_s
        active = sum(now_s - then_s < _MEMORY_S for then_s in self._committed_at_s.values())
        stretched_s = self._shortest_s * active / _PARTITIONS_AT_FULL_PACE
        return max(self._shortest_s, min(stretched_s, _MAX_INTERVAL_S))
