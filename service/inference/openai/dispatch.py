"""Requests to a fleet: each goes to a server that is well, and to another one if that fails.

A request fails only for what is its own: a server that fails is asked a question of the service's own by `ServerWatch`.
If it fails that as well, it is ejected, and the request goes on as if it had not been there. While no server gets
requests, all of them wait without limit.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog

from service.core.availability import EngineAvailability
from service.core.errors import EnginePoisonError, FatalError, ModstreamError, RejectedError
from service.inference.errors import AdapterMissingError, EngineFailedError, EngineNotRunningError, EngineRejectedError
from service.inference.openai.answers import Answer
from service.inference.openai.checks import Check
from service.inference.openai.client import OpenAIClient
from service.inference.openai.errors import (
    AnswerBrokenOffError,
    ServerBusyError,
    ServerSilentError,
    ServerUnreachableError,
)
from service.inference.openai.fleet import Fleet, Server
from service.inference.openai.turns import Request, Turns

log = structlog.get_logger(__name__)

T = TypeVar("T")

# A request may be what makes servers fail, and must not make all of a large fleet fail.
_MAX_TRIES = 3

_POISON_AFTER = 3
"""Servers that a record loses alone until it is given up: servers also come and go by themselves, and doing so in these
moments three times in a row is less likely than a record that they die of. Broken connections count half."""

_MAX_BUSY = 3
"""Busy answers in a row to one request after which the server is probed, to learn whether all requests get them."""


class Dispatcher:
    """Sends every request to a server with room, and records the servers' responses."""

    def __init__(self, fleet: Fleet, client: OpenAIClient, availability: EngineAvailability) -> None:
        self._fleet = fleet
        self._client = client
        self._availability = availability
        self._turns = Turns(fleet)
        self._checks = {server: Check() for server in fleet.servers}
        self._rests: set[asyncio.TimerHandle] = set()
        self._closed = False

    def close(self) -> None:
        """End all waiting requests; requests in flight end with the client. May be repeated."""
        self._closed = True
        self._turns.close()
        for check in self._checks.values():
            check.close()
        for rest in self._rests:
            rest.cancel()
        self._rests.clear()

    async def post(self, request: Request, read: Callable[[Mapping[str, Any]], T]) -> T:
        """Return what `read` makes of the first answer that it can read.

        Raises `EngineRejectedError` for a request that servers refuse which are well, `EnginePoisonError` for a record
        that servers die of, `AdapterMissingError`, or what the last server failed with although it is well; and a
        `FatalError` if no server can be used with these settings.
        """
        effort = _Effort(request, read, self._fleet.answers)
        while True:
            failed = await self._try(effort)
            if failed is None:
                return effort.answer  # type: ignore[return-value]  # set by success
            if isinstance(failed.failure, ServerBusyError):
                await self._wait_out(effort, failed.server, failed.failure)
                continue
            if isinstance(failed.failure, AnswerBrokenOffError):
                await self._lose(effort.request, failed)
            if effort.is_final(self._fleet):
                if (own := await self._own_failure(effort)) is not None:
                    raise own
                effort.tries.clear()

    @asynccontextmanager
    async def place(self, request: Request, tried: Collection[Server]) -> AsyncIterator[Server]:
        """Wait for a server with room, best an untried one, and hold the room for the block."""
        server = await self._turns.take(request, tried)
        try:
            yield server
        finally:
            self._turns.release(server)

    def doubt(self, server: Server) -> None:
        """Count a failure of a request that came another way than `post`; too many in a row have the server checked."""
        if not server.out and self._fleet.failed(server):
            self._checks[server].want()

    def eject(self, server: Server, failure: ModstreamError) -> None:
        """Give a server no more requests until it is readmitted."""
        self._fleet.eject(server, failure)
        again_s = round(self._fleet.pause_s(server), 3)
        log.warning("engine.server_ejected", server=server.name, detail=str(failure), looked_at_in_s=again_s)
        self._checks[server].settle(is_well=False)
        self._changed(str(failure))

    def keep_out(self, server: Server, failure: ModstreamError) -> None:
        """Keep a server ejected after a failed check, for longer than before."""
        self._fleet.eject(server, failure)
        self._turns.wake()

    def readmit(self, server: Server) -> None:
        """Give a server requests again."""
        self._fleet.readmit(server)
        log.info("engine.server_returned", server=server.name)
        self._changed()

    def passed(self, server: Server) -> None:
        """Record that a server has answered a check."""
        server.failures = 0
        self._checks[server].settle(is_well=True)

    def rest(self, server: Server, failure: ServerBusyError) -> None:
        """Send a busy server no requests for the time that it asks for, within bounds."""
        if not self._fleet.rest(server):
            return
        rest_s = self._fleet.rest_s(server, failure.asked_pause_s)
        log.warning("engine.server_busy", server=server.name, detail=str(failure), again_in_s=round(rest_s, 3))
        self._rests.add(asyncio.get_running_loop().call_later(rest_s, self._end_rest, server))
        self._changed(str(failure))

    async def until_doubted(self, server: Server, timeout_s: float) -> bool:
        """Return True once a server must be checked; False when it is ejected, or after the time limit."""
        return await self._checks[server].until_wanted(timeout_s) and not server.out

    async def _try(self, effort: "_Effort[T]") -> "_Try | None":
        """Ask one server; return what went wrong, or None when the answer stands in `effort`."""
        request = effort.request
        server, is_alone = await self._place(effort)
        try:
            answer = await self._client.exchange(server, request.path, request.body)
            if answer.succeeded:
                effort.answer = effort.read(answer.json())
                self._fleet.answered(server)
                return None
            failure = _failure(answer, request)
        except EngineFailedError as error:
            failure = error
        finally:
            self._turns.release(server)
        if self._closed:
            raise EngineNotRunningError
        failed = _Try(server, failure, is_alone)
        self._note(effort, failed)
        return failed

    async def _place(self, effort: "_Effort[T]") -> tuple[Server, bool]:
        """Return a server with room, and whether the request has it to itself; then the server has just been well."""
        while True:
            server = await self._turns.take(effort.request, effort.tried)
            if not self._fleet.is_reserved(server):
                return server, False
            is_well = False
            try:
                is_well = await self._is_well(server, effort.request)
            finally:
                if not is_well:
                    self._turns.release(server)
            if is_well:
                return server, True

    def _note(self, effort: "_Effort[T]", tried: "_Try") -> None:
        """Take note of a failure."""
        server, failure = tried.server, tried.failure
        if isinstance(failure, ServerBusyError):
            return
        effort.tries.append(tried)
        if isinstance(failure, ServerSilentError):
            self._fleet.slow_down(server)
        if not isinstance(failure, RejectedError | AdapterMissingError) and self._fleet.failed(server):
            self._checks[server].want()

    async def _wait_out(self, effort: "_Effort[T]", server: Server, failure: ServerBusyError) -> None:
        """Let a busy server rest; or, where it answers others meanwhile, let this request alone wait."""
        are_others_answered = effort.are_others_answered(self._fleet.answers)
        effort.busy += 1
        if effort.busy > _MAX_BUSY and not are_others_answered and await self._is_well(server, effort.request):
            raise failure
        if effort.busy > 1 and are_others_answered:
            await asyncio.sleep(self._fleet.rest_s(server, failure.asked_pause_s))
        else:
            self.rest(server, failure)

    async def _own_failure(self, effort: "_Effort[T]") -> ModstreamError | None:
        """Return the failure that is the request's own; None if the servers are to blame for all of them."""
        own: ModstreamError | None = None
        for tried in effort.tries:
            failure = tried.failure
            if isinstance(failure, AdapterMissingError):
                own = failure  # the server is well, and requests without the adapter are answered
            elif isinstance(failure, AnswerBrokenOffError):
                continue  # counted as a loss instead
            elif await self._is_well(tried.server, effort.request):
                own = _of_one_request(failure)
            elif tried.may_be_lost:
                await self._lose(effort.request, tried)
        return own

    async def _lose(self, request: Request, tried: "_Try") -> None:
        """Count a server that stopped working on a request; raise `EnginePoisonError` for one too many."""
        losses, detail = request.losses, str(tried.failure)
        works_on = tried.is_alone and await self._is_well(tried.server, request)
        losses.add(alone=tried.is_alone, weight=0.5 if works_on else 1.0)
        log.warning("engine.server_lost", server=tried.server.name, detail=detail, alone=tried.is_alone)
        if losses.alone >= _POISON_AFTER:
            raise EnginePoisonError(detail=detail)

    async def _is_well(self, server: Server, request: Request) -> bool:
        """Return whether a server answers a question of the service's own."""
        if server.out:
            return False
        with request.clock.stopped():
            return await self._checks[server].verdict()

    def _end_rest(self, server: Server) -> None:
        self._rests = {rest for rest in self._rests if rest.when() > asyncio.get_running_loop().time()}
        self._fleet.end_rest(server)
        self._changed()

    def _changed(self, detail: str = "") -> None:
        """Update the availability, and wake waiting requests."""
        if self._fleet.is_available:
            self._availability.regain()
        else:
            self._availability.lose(detail)
        self._turns.wake()


@dataclass(frozen=True, slots=True)
class _Try:
    """A request that failed at a server."""

    server: Server
    failure: ModstreamError
    is_alone: bool

    @property
    def may_be_lost(self) -> bool:
        """Whether the server may have stopped working because of it, if it does not work now."""
        has_seen_it = not isinstance(self.failure, ServerUnreachableError)
        return isinstance(self.failure, EngineFailedError) and has_seen_it


@dataclass(slots=True)
class _Effort(Generic[T]):
    """How far a request has come."""

    request: Request
    read: Callable[[Mapping[str, Any]], T]
    answers: int
    """The fleet's count of answers when this request last got a busy answer."""
    tries: list[_Try] = field(default_factory=list)
    busy: int = 0
    """How many busy answers it got."""
    answer: T | None = None

    @property
    def tried(self) -> list[Server]:
        return [tried.server for tried in self.tries]

    def are_others_answered(self, answers: int) -> bool:
        """Return whether any request was answered since this was asked last."""
        before, self.answers = self.answers, answers
        return answers > before

    def is_final(self, fleet: Fleet) -> bool:
        """Return whether no further server is to be asked: it would fail as well, or the limit is reached."""
        if isinstance(self.tries[-1].failure, RejectedError) or len(self.tries) >= _MAX_TRIES:
            return True
        return not any(server.in_use and server not in self.tried for server in fleet.servers)


def _failure(answer: Answer, request: Request) -> ModstreamError:
    """Return what an answer other than a success stands for."""
    failure = answer.failure()
    if answer.names_nothing and request.adapter is not None:
        return AdapterMissingError(name=request.adapter, detail=str(failure))
    return failure


def _of_one_request(failure: ModstreamError) -> ModstreamError:
    """Return the failure of a request that a server refuses which is well."""
    if isinstance(failure, FatalError):
        return EngineRejectedError(detail=f"{failure}; other requests are answered")
    return failure
