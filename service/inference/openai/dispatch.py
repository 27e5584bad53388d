"""Requests to a fleet: each goes to a server that is well, and to another one if that fails."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

from service.errors import FatalError, ModstreamError, RejectedError
from service.inference.errors import EngineFailedError, EngineNotRunningError
from service.inference.openai.client import OpenAIClient
from service.inference.openai.fleet import Fleet, Server

log = structlog.get_logger(__name__)

# A request may be what makes servers fail, and must not make all of a large fleet fail.
_MAX_TRIES = 3


class Dispatcher:
    """Finds a place for every request, and takes note of how servers answer."""

    def __init__(self, fleet: Fleet, client: OpenAIClient, *, patience_s: float) -> None:
        self._fleet = fleet
        self._client = client
        self._patience_s = patience_s
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._ejected = {server: asyncio.Event() for server in fleet.servers}
        self._closed = False

    def close(self) -> None:
        """End all requests that wait; those in flight end with the client. Harmless if done before."""
        self._closed = True
        self._wake(len(self._waiting))

    async def post(self, path: str, body: bytes, *, image_key: str) -> Mapping[str, Any]:
        """Return the JSON object of the first server that succeeds.

        Raises `EngineRejectedError` once a server refuses the request itself; else what the last server failed with:
        a `FatalError` only if each one that was tried has a reason for it.
        """
        tried: list[Server] = []
        failures: list[ModstreamError] = []
        while len(tried) < _MAX_TRIES and not (tried and self._fleet.all_out):
            server = await self._place(image_key, tried)
            tried.append(server)
            result = await self._try(server, path, body)
            if not isinstance(result, ModstreamError):
                return result
            failures.append(result)
            if isinstance(result, RejectedError):
                break
        raise _told(failures)

    def eject(self, server: Server, failure: ModstreamError) -> None:
        """Give a server no more requests until it is readmitted."""
        self._fleet.eject(server)
        self._ejected[server].set()
        again_s = round(self._fleet.pause_s(server), 3)
        log.warning("engine.server_ejected", server=server.name, detail=str(failure), looked_at_in_s=again_s)
        if self._fleet.all_out:
            self._wake(len(self._waiting))  # from now on their patience counts

    def readmit(self, server: Server) -> None:
        """Give a server requests again."""
        self._fleet.readmit(server)
        self._ejected[server].clear()
        log.info("engine.server_returned", server=server.name)
        self._wake(self._fleet.room)

    async def until_ejected(self, server: Server, timeout_s: float) -> None:
        """Return when a server is ejected, or the time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ejected[server].wait()
        except TimeoutError:
            return

    async def _try(self, server: Server, path: str, body: bytes) -> Mapping[str, Any] | ModstreamError:
        try:
            answer = await self._client.exchange(server, path, body)
            document = answer.json() if answer.succeeded else None
        except EngineFailedError as failure:
            self._failed(server, failure)
            return failure
        finally:
            self._fleet.release(server)
            self._wake(self._fleet.room)
        if answer.health == "ill":
            self._failed(server, answer.failure())
        elif answer.health == "well":
            self._answered(server)
        return answer.failure() if document is None else document

    def _failed(self, server: Server, failure: ModstreamError) -> None:
        if self._closed:
            raise EngineNotRunningError from None
        if self._fleet.failed(server):
            self.eject(server, failure)

    def _answered(self, server: Server) -> None:
        self._fleet.answered(server)
        self._wake(self._fleet.room)

    async def _place(self, image_key: str, tried: Sequence[Server]) -> Server:
        """Return a server with room; raise `EngineFailedError` if all are out when patience ends."""
        patient_until = asyncio.get_running_loop().time() + self._patience_s
        while not self._closed:
            server = self._fleet.take(image_key, tried=tried)
            if server is not None:
                return server
            await self._turn(patient_until if self._fleet.all_out else None)
        raise EngineNotRunningError

    async def _turn(self, patient_until: float | None) -> None:
        """Return when there may be room."""
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout_at(patient_until):
                await place
        except TimeoutError:
            servers = ", ".join(server.name for server in self._fleet.servers)
            raise EngineFailedError(detail=f"every server of engine.openai.base_urls is out: {servers}") from None
        except asyncio.CancelledError:
            self._wake(self._fleet.room)  # the room that this one was woken for is another's now
            raise
        finally:
            with suppress(ValueError):  # woken, and therefore not there any more
                self._waiting.remove(place)

    def _wake(self, count: int) -> None:
        while count > 0 and self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                count -= 1


def _told(failures: Sequence[ModstreamError]) -> ModstreamError:
    """Return the failure to tell of: a server that is away may do what the others are not set up for."""
    transient = [failure for failure in failures if not isinstance(failure, FatalError)]
    return (transient or failures)[-1]
