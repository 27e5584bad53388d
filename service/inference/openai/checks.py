"""Requests for a check of a server, and the requests that wait for its result."""

import asyncio

from service.inference.errors import EngineNotRunningError


class Check:
    """The health check of one server."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._is_wanted = False
        self._waiting: list[asyncio.Future[bool]] = []
        self._closed = False

    def want(self) -> None:
        """Request a check of the server, without waiting."""
        self._is_wanted = True
        self._changed.set()

    async def verdict(self) -> bool:
        """Request a check and return whether the server works; raises `EngineNotRunningError` once closed."""
        if self._closed:
            raise EngineNotRunningError
        verdict: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(verdict)
        self.want()
        return await verdict

    def settle(self, *, is_well: bool) -> None:
        """Set the result of a check, or of other evidence of the server's state."""
        waiting, self._waiting = self._waiting, []
        self._is_wanted = False
        self._changed.set()
        for verdict in waiting:
            if not verdict.done():
                verdict.set_result(is_well)

    def close(self) -> None:
        """End all waits with an error."""
        self._closed = True
        for verdict in self._waiting:
            if not verdict.done():
                verdict.set_exception(EngineNotRunningError())

    async def until_wanted(self, timeout_s: float) -> bool:
        """Return True once a check is requested; False after the time limit or another state change."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return self._is_wanted
