"""Looks after the servers of a fleet: ejects those that say they are dead, and readmits those that are well again.

What comes back may have been replaced: it gets requests once it is found to be what the fleet was found to be.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from service.errors import FatalError, ModstreamError
from service.inference.errors import EngineFailedError
from service.inference.openai.answers import Answer
from service.inference.openai.client import OpenAIClient
from service.inference.openai.dispatch import Dispatcher
from service.inference.openai.fleet import Fleet, Server

log = structlog.get_logger(__name__)

Admission = Callable[[Server], Awaitable[ModstreamError | None]]
"""Says why a server cannot be used, or None."""

_PATH = "/health"
_SERVER_ERRORS = 500


class ServerWatch:
    """One task a server."""

    def __init__(
        self, fleet: Fleet, dispatcher: Dispatcher, client: OpenAIClient, *, admission: Admission, interval_s: float
    ) -> None:
        self._fleet = fleet
        self._dispatcher = dispatcher
        self._client = client
        self._admission = admission
        self._interval_s = interval_s
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Begin."""
        for server in self._fleet.servers:
            self._tasks.append(asyncio.create_task(self._watch(server), name=f"watch {server.name}"))

    async def close(self) -> None:
        """End, and raise what went wrong in it. Harmless if never opened."""
        for task in self._tasks:
            task.cancel()
        ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for end in ends:
            if end is not None and not isinstance(end, asyncio.CancelledError):
                raise end

    async def _watch(self, server: Server) -> None:
        while True:
            if server.out:
                await self._look_for_its_return(server)
            else:
                await self._look_for_its_death(server)

    async def _look_for_its_return(self, server: Server) -> None:
        await asyncio.sleep(self._fleet.pause_s(server))
        if not await self._is_well(server):
            self._fleet.eject(server)
        elif failure := await self._admission(server):
            self._fleet.eject(server)
            if isinstance(failure, FatalError):  # it will not go away by waiting
                log.warning("engine.server_refused", server=server.name, detail=str(failure))
        else:
            self._dispatcher.readmit(server)

    async def _look_for_its_death(self, server: Server) -> None:
        await self._dispatcher.until_ejected(server, self._interval_s)
        if server.out:
            return
        try:
            answer = await self._look(server)
        except EngineFailedError:
            # Only slow, perhaps: if it is away, requests to it fail too, and tell it for certain.
            return
        if _says_dead(answer) and not server.out:
            self._dispatcher.eject(server, answer.failure())

    async def _is_well(self, server: Server) -> bool:
        try:
            return not _says_dead(await self._look(server))
        except EngineFailedError:
            return False

    async def _look(self, server: Server) -> Answer:
        return await self._client.exchange(server, _PATH, timeout_s=self._interval_s)


def _says_dead(answer: Answer) -> bool:
    """Return whether it is dead; a server that knows no such path is not."""
    return answer.status >= _SERVER_ERRORS
