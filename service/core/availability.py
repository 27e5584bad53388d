"""Whether an engine can answer at all, and time limits that are suspended while it cannot."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger(__name__)


class RequestClock:
    """The time limit of one request. It is suspended while stopped, and then starts again in full."""

    __slots__ = ("_limit_s", "_stops", "_timeout")

    def __init__(self, timeout: asyncio.Timeout | None = None, limit_s: float = 0.0) -> None:
        """`timeout` has been entered; without one there is no limit to stop."""
        self._timeout = timeout
        self._limit_s = limit_s
        self._stops = 0

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Suspend the clock during the block, which waits for something that the request is not at fault for."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def stop(self) -> None:
        """Suspend the clock until `start` was called as often."""
        self._stops += 1
        self._end_at(None)

    def start(self) -> None:
        """Undo one `stop`; the last one starts the time limit again."""
        self._stops -= 1
        if not self._stops and self._timeout is not None:
            self._end_at(asyncio.get_running_loop().time() + self._limit_s)

    def _end_at(self, when: float | None) -> None:
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(when)


class EngineAvailability:
    """Whether an engine can answer: set by the engine, awaited by others in the same event loop."""

    def __init__(self) -> None:
        self._clocks: set[RequestClock] = set()
        self._is_available = True
        self._is_interrupted = False
        self._goes_on = asyncio.Event()
        self._goes_on.set()
        self._lost_at_s = 0.0

    @property
    def is_available(self) -> bool:
        """Whether the engine can answer a request."""
        return self._is_available

    async def wait(self) -> None:
        """Return once the engine can answer, or after `interrupt`."""
        await self._goes_on.wait()

    def interrupt(self) -> None:
        """End the current wait and all later ones, because the process ends."""
        self._is_interrupted = True
        self._goes_on.set()

    @contextmanager
    def clock(self, timeout: asyncio.Timeout, limit_s: float) -> Iterator[RequestClock]:
        """Return the clock of an entered timeout, which is suspended while the engine is not available."""
        clock = RequestClock(timeout, limit_s)
        self._clocks.add(clock)
        if not self.is_available:
            clock.stop()
        try:
            yield clock
        finally:
            self._clocks.discard(clock)

    def lose(self, detail: str) -> None:
        """Record that the engine cannot answer; may be repeated."""
        if not self.is_available:
            return
        self._is_available = False
        if not self._is_interrupted:
            self._goes_on.clear()
        self._lost_at_s = time.monotonic()
        log.warning("engine.unavailable", detail=detail)
        for clock in self._clocks:
            clock.stop()

    def regain(self) -> None:
        """Record that the engine can answer again; may be repeated."""
        if self.is_available:
            return
        self._is_available = True
        self._goes_on.set()
        log.info("engine.available", after_s=round(time.monotonic() - self._lost_at_s, 3))
        for clock in self._clocks:
            clock.start()
