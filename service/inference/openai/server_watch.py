"""Looks after the servers of a fleet: checks those that fail, ejects those that do not work, and readmits them.

What comes back may have been replaced: it gets requests once it is found to be what the fleet was found to be.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from service.core.errors import FatalError, ModstreamError
from service.inference.errors import EngineFailedError
from service.inference.openai.answers import Answer
from service.inference.openai.client import OpenAIClient
from service.inference.openai.dispatch import Dispatcher
from service.inference.openai.errors import (
    AnswerBrokenOffError,
    ServerBusyError,
    ServerSilentError,
    ServerUnreachableError,
)
from service.inference.openai.fleet import Fleet, Server

log = structlog.get_logger(__name__)

Admission = Callable[[Server], Awaitable[ModstreamError | None]]
"""Says why a server cannot be used, or None."""

_PATH = "/health"
_SERVER_ERRORS = 500
_NO_ANSWER = (AnswerBrokenOffError, ServerSilentError, ServerUnreachableError)


class ServerWatch:
    """Runs one task for each server, which checks, ejects and readmits it."""

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
        """Start the tasks."""
        for server in self._fleet.servers:
            self._tasks.append(asyncio.create_task(self._watch(server), name=f"watch {server.name}"))

    async def close(self) -> None:
        """Stop the tasks, and raise their errors. Allowed before `open`."""
        for task in self._tasks:
            task.cancel()
        ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for end in ends:
            if end is not None and not isinstance(end, asyncio.CancelledError):
                raise end

    async def _watch(self, server: Server) -> None:
        while True:
            try:
                await self._watch_once(server)
            except Exception as error:
                log.exception("engine.server_watch_failed", server=server.name)
                failure = EngineFailedError(detail=f"{server.name} cannot be checked ({type(error).__name__})")
                self._dispatcher.eject(server, failure)

    async def _watch_once(self, server: Server) -> None:
        if server.out:
            await self._look_for_its_return(server)
        elif await self._dispatcher.until_doubted(server, self._interval_s):
            await self._check(server)
        elif not server.out:
            await self._look_for_its_death(server)

    async def _look_for_its_return(self, server: Server) -> None:
        await asyncio.sleep(self._fleet.pause_s(server))
        failure = await self._ill(server) or await self._admission(server)
        if failure is None:
            self._dispatcher.readmit(server)
            return
        self._dispatcher.keep_out(server, failure)
        if isinstance(failure, FatalError):  # it will not go away by waiting
            log.warning("engine.server_refused", server=server.name, detail=str(failure))

    async def _check(self, server: Server) -> None:
        """Find out whether requests failed at a server for what they are, or for what it is."""
        answers = server.answers
        failure = await self._admission(server)
        is_slow = isinstance(failure, ServerSilentError) and server.answers > answers
        if server.out:
            return
        if failure is None or is_slow:
            self._dispatcher.passed(server)
        elif isinstance(failure, ServerBusyError):
            self._dispatcher.rest(server, failure)
            await asyncio.sleep(self._fleet.rest_s(server, failure.asked_pause_s))
        else:
            self._dispatcher.eject(server, failure)

    async def _look_for_its_death(self, server: Server) -> None:
        failure = await self._ill(server)
        # One that is only slow, perhaps, is not dead: if it is away, requests to it fail too, and it is checked.
        if failure is not None and not isinstance(failure, _NO_ANSWER) and not server.out:
            self._dispatcher.eject(server, failure)

    async def _ill(self, server: Server) -> ModstreamError | None:
        """Return why a server is not well by its own account; one that knows no such path does not say."""
        try:
            answer = await self._client.exchange(server, _PATH, timeout_s=self._interval_s)
        except EngineFailedError as failure:
            return failure
        return EngineFailedError(detail=f"{server.name}{_PATH} answered {answer.status}") if _is_dead(answer) else None


def _is_dead(answer: Answer) -> bool:
    return answer.status >= _SERVER_ERRORS
