"""Ends the service in good order before one of its limits ends it in a bad one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from service.errors import FatalError

log = structlog.get_logger(__name__)

_EVERY_S = 5.0
"""A look costs some milliseconds; memory that is lost over days, or a GPU that warms up, needs none more often."""

Limit = Callable[[], FatalError | None]
"""Measures, and returns what the process is to end with if the limit is exceeded; blocks, and is called in a thread."""


class LimitGuard:
    """Asks for a drain once a limit is exceeded, and raises when that is done."""

    def __init__(self, limits: Sequence[Limit], *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._limits = tuple(limits)
        self._sleep = sleep
        self._error: FatalError | None = None

    async def watch(self, drain: Callable[[], None]) -> None:
        """Return when a drain was asked for; never without a limit that is exceeded."""
        while (error := await asyncio.to_thread(self._look)) is None:
            await self._sleep(_EVERY_S)
        self._error = error
        log.warning("service.limit_exceeded", error=error)
        drain()

    def check(self) -> None:
        """Raise what the drain was asked for, if it was this guard's doing."""
        if self._error is not None:
            raise self._error

    def _look(self) -> FatalError | None:
        return next((error for limit in self._limits if (error := limit()) is not None), None)
