"""Limits the rate at which dead letters are sent back."""

import asyncio
import time
from collections.abc import Awaitable, Callable

MAX_BATCH = 500
"""Dead letters in one transaction: enough that transactions cost little, few enough that one ends in time."""


class Pace:
    """A number of dead letters a second on average, in batches of at most one second; without a rate there is no
    limit.
    """

    def __init__(
        self,
        per_s: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._per_s = per_s
        self._clock = clock
        self._sleep = sleep
        self._next_s = clock()

    @property
    def batch(self) -> int:
        """The number of dead letters in a batch."""
        return MAX_BATCH if self._per_s is None else max(1, min(MAX_BATCH, int(self._per_s)))

    async def wait(self, count: int) -> None:
        """Wait until this number of dead letters may be sent."""
        if self._per_s is None:
            return
        now_s = self._clock()
        if self._next_s > now_s:
            await self._sleep(self._next_s - now_s)
        self._next_s = max(self._next_s, now_s) + count / self._per_s
