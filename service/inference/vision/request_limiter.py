"""Limits the requests that a model has at a time; the request with the earliest deadline goes first."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heappop, heappush

from service.core.spans import waiting
from service.inference.errors import EngineNotRunningError
from service.telemetry import names


class RequestLimiter:
    """A number of places; who finds none waits, and leaves when cancelled.

    Deadlines are set anew at each attempt, so that attempts of records that failed line up behind fresh ones; and what
    an image's later questions wait for comes before newer images, while its caches are warm.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._free = places
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        # Equal deadlines go by arrival.
        self._arrivals = itertools.count()
        self._is_closed = False

    @asynccontextmanager
    async def place(self, *, deadline_s: float) -> AsyncIterator[None]:
        """Wait for a place and hold it for the block; raises `EngineNotRunningError` once the limiter is closed."""
        with waiting(names.WAIT_ENGINE):
            await self._enter(deadline_s)
        try:
            yield
        finally:
            self._pass_on()

    @property
    def taken(self) -> int:
        """The number of places that are held."""
        return self._places - self._free

    @property
    def waiting(self) -> int:
        """The number of requests that wait for a place."""
        return sum(not turn.done() for _, _, turn in list(self._waiting))

    def close(self) -> None:
        """Reject new and waiting requests with `EngineNotRunningError`."""
        self._is_closed = True
        for _, _, turn in self._waiting:
            if not turn.done():
                turn.set_exception(EngineNotRunningError())
        self._waiting.clear()

    async def _enter(self, deadline_s: float) -> None:
        if self._is_closed:
            raise EngineNotRunningError
        if self._free:  # then none waits
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (deadline_s, next(self._arrivals), turn))
        try:
            await turn
        except asyncio.CancelledError:
            # The place may have come in the same turn of the event loop as the cancellation.
            if not turn.cancelled() and turn.exception() is None:
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            _, _, turn = heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
