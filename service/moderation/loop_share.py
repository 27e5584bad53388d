"""Keeps the work of one task to a share of the event loop's time, in slices that delay others little."""

import asyncio
import time
from collections.abc import Awaitable, Callable

SLICE_S = 0.001
"""About the longest that others wait for a slice of work to end."""


class LoopShare:
    """The time that one task has taken of the event loop, and the pauses that it owes for it."""

    def __init__(
        self,
        share: float,
        *,
        clock: Callable[[], float] = time.perf_counter,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._share = share
        self._clock = clock
        self._pause = pause
        self._taken_s = 0.0
        self._began_s = clock()

    def begin(self) -> None:
        """Begin to work, after a wait for something else."""
        self._began_s = self._clock()

    def lift(self) -> None:
        """Owe no pauses any more, but the shortest after each slice."""
        self._share = 1.0

    def charge(self, seconds: float) -> None:
        """Count time that is taken elsewhere in the loop for this task."""
        self._taken_s += seconds

    async def rest(self) -> None:
        """Pause for as long as the share asks for, once a slice of work is done."""
        now_s = self._clock()
        self._taken_s += now_s - self._began_s
        if self._taken_s >= SLICE_S:
            await self._pause(self._taken_s * (1 / self._share - 1))
            self._taken_s = 0.0
            now_s = self._clock()
        self._began_s = now_s
