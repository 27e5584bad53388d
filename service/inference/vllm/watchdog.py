"""Detects that a model in separate processes died or hangs, and fails all requests in flight at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from service.core.errors import EngineDeadError, FatalError


class StallClock:
    """Adds up the time with requests in flight since the last answer.

    Time without requests does not count, and neither do requests that were given up: a model that answers none of
    them before their deadlines must not look alive because new ones keep coming.
    """

    def __init__(self, *, limit_s: float, longest_step_s: float) -> None:
        """`longest_step_s` bounds what one `advance` counts: a process that was suspended was not waiting."""
        self._limit_s = limit_s
        self._longest_step_s = longest_step_s
        self._in_flight = 0
        self._silent_s = 0.0
        self._now_s: float | None = None

    @property
    def is_stalled(self) -> bool:
        """Whether requests wait and the model has answered nothing for too long."""
        return self._in_flight > 0 and self._silent_s >= self._limit_s

    @property
    def silent_s(self) -> float:
        """Time with requests in flight since the last answer."""
        return self._silent_s

    def begin(self, requests: int = 1) -> None:
        """Count requests as in flight."""
        self._in_flight += requests

    def end(self, requests: int = 1) -> None:
        """Count requests as ended, with any result."""
        self._in_flight -= requests

    def answered(self) -> None:
        """Record that the model answered something."""
        self._silent_s = 0.0

    def advance(self, now_s: float) -> None:
        """Add the time since the last call."""
        if self._now_s is not None and self._in_flight:
            self._silent_s += min(now_s - self._now_s, self._longest_step_s)
        self._now_s = now_s


_LOOKS_A_LIMIT = 20
_LONGEST_PAUSE_S = 1.0
"""Longest pause between two checks. A model that dies while idle is noticed within this time."""


class Watchdog:
    """Ends all requests in flight with one fatal error: when the model died, when it hangs, when it is stopped."""

    def __init__(
        self, *, stall_s: float, is_dead: Callable[[], bool], on_failure: Callable[[FatalError], None]
    ) -> None:
        """`on_failure` is called once, whether requests are in flight or not."""
        self._stall_s = stall_s
        self._pause_s = min(_LONGEST_PAUSE_S, stall_s / _LOOKS_A_LIMIT)
        # A process that was suspended, or an event loop that was held up, has not been waiting all that time.
        self._clock = StallClock(limit_s=stall_s, longest_step_s=3 * self._pause_s)
        self._is_dead = is_dead
        self._on_failure = on_failure
        self._error: FatalError | None = None
        self._requests: set[asyncio.Timeout] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def watched(self, *, may_be_silent: bool = False) -> AsyncIterator[None]:
        """Await a request; raise the fatal error as soon as there is one.

        One that may be silent waits for more than the model, so its silence is no sign that the model hangs.
        """
        if self._error is not None:
            raise self._error
        counted = 0 if may_be_silent else 1
        self._clock.begin(counted)
        self._idle.clear()
        try:
            async with asyncio.timeout(None) as request:
                self._requests.add(request)
                yield
        except TimeoutError:
            if self._error is None:
                raise
            raise self._error from None
        finally:
            self._requests.discard(request)
            self._clock.end(counted)
            if not self._requests:
                self._idle.set()

    def answered(self) -> None:
        """Record that the model answered something."""
        self._clock.answered()

    async def watch(self) -> None:
        """Check the model until it fails."""
        while self._error is None:
            self._clock.advance(time.monotonic())
            if self._is_dead():
                self.fail(EngineDeadError(detail="its process ended"))
            elif self._clock.is_stalled:
                detail = f"requests wait, and it has answered none for {self._stall_s:g} s (engine.stall_s)"
                self.fail(EngineDeadError(detail=detail))
            else:
                await asyncio.sleep(self._pause_s)

    def fail(self, error: FatalError) -> None:
        """Fail the requests in flight, refuse new ones, and call `on_failure`."""
        if self._error is None:
            self.close(error)
            self._on_failure(error)

    def close(self, error: FatalError) -> None:
        """Fail the requests in flight and refuse new ones, without a call of `on_failure`: the end is expected."""
        self._error = self._error or error
        for request in self._requests:
            request.reschedule(asyncio.get_running_loop().time())

    async def wait_until_idle(self) -> None:
        """Return once no request is in flight."""
        await self._idle.wait()
