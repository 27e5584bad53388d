"""Ends the service in good order before its memory runs out."""

import asyncio
import os
from collections.abc import Awaitable, Callable

import structlog

from service.errors import FatalError
from service.processes import can_be_listed, memory_bytes

log = structlog.get_logger(__name__)

_EVERY_S = 5.0
"""A look costs some milliseconds; memory that is lost over days does not need one more often."""


class MemoryLimitError(FatalError):
    """The service holds more memory than it may; what was in flight is committed, and it wants to be started again."""

    reason = "service.memory_limit"
    message = "The service and what it started hold {held_bytes} bytes of memory; the limit is {limit_bytes}"


class MemoryNotMeasurableError(FatalError):
    """A limit is set where memory cannot be measured."""

    reason = "service.memory_not_measurable"
    message = "{setting}: memory is measured on Linux only"


def own_memory_bytes() -> int:
    """Return what this process and its descendants hold."""
    return memory_bytes(os.getpid())


class MemoryGuard:
    """Asks for a drain once the memory is above its limit, and raises when that is done."""

    def __init__(
        self,
        *,
        limit_bytes: int,
        setting: str,
        measure: Callable[[], int] = own_memory_bytes,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Off with a limit of 0; raises `MemoryNotMeasurableError` for one that cannot be kept, naming the setting."""
        if limit_bytes and not can_be_listed():
            raise MemoryNotMeasurableError(setting=setting)
        self._limit_bytes = limit_bytes
        self._measure = measure
        self._sleep = sleep
        self._held_bytes = 0

    async def watch(self, drain: Callable[[], None]) -> None:
        """Return when a drain was asked for; never without a limit that is reached."""
        while not self._limit_bytes or (held_bytes := await asyncio.to_thread(self._measure)) <= self._limit_bytes:
            await self._sleep(_EVERY_S)
        self._held_bytes = held_bytes
        log.warning("service.memory_limit", held_bytes=held_bytes, limit_bytes=self._limit_bytes)
        drain()

    def check(self) -> None:
        """Raise `MemoryLimitError` if the drain was this guard's doing."""
        if self._held_bytes:
            raise MemoryLimitError(held_bytes=self._held_bytes, limit_bytes=self._limit_bytes)
