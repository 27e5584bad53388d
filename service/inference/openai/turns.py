"""Requests that wait until a server has room for them."""

import asyncio
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field

from service.core.availability import RequestClock
from service.core.errors import FatalError
from service.core.losses import EngineLosses
from service.inference.errors import EngineNotRunningError
from service.inference.openai.fleet import Fleet, Server


@dataclass(frozen=True, slots=True)
class Request:
    """A request, and the record that it belongs to."""

    path: str
    body: bytes
    image_key: str
    adapter: str | None = None
    losses: EngineLosses = field(default_factory=EngineLosses)
    """Losses of the record; the count is increased here."""
    clock: RequestClock = field(default_factory=RequestClock)


class Turns:
    """Assigns servers with room to requests in the order of arrival; suspects get a server to themselves."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._suspects: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def close(self) -> None:
        """End all waits. May be repeated."""
        self._closed = True
        self._wake(self._waiting, len(self._waiting))
        self._wake(self._suspects, len(self._suspects))

    async def take(self, request: Request, tried: Collection[Server]) -> Server:
        """Return a server with room for a request, best an untried one; wait for it without limit.

        Raises the fault of a server if all are out for faults of the settings, which do not go away by waiting.
        """
        while not self._closed:
            if request.losses.is_suspect:
                if server := self._fleet.take_alone(tried=tried):
                    return server
                queue = self._suspects
            else:
                if server := self._fleet.take(request.image_key, tried=tried):
                    return server
                queue = self._waiting
            self._check_settings()
            with request.clock.stopped():  # the others' turns are no fault of this one, and no server was tried
                await self._turn(queue)
        raise EngineNotRunningError

    def release(self, server: Server) -> None:
        """Return the server of a `take`."""
        self._fleet.release(server)
        self.wake()

    def wake(self) -> None:
        """Wake waiting requests, as many as there may be room for."""
        if self._suspects:
            self._wake(self._suspects, 1)
        elif not self._fleet.is_used_alone:
            self._fleet.end_reservation()
        # With no server in use one of them finds out whether waiting is of any use; so will the others in turn.
        self._wake(self._waiting, len(self._waiting) if self._unusable() else self._fleet.room)

    def _check_settings(self) -> None:
        if fault := self._unusable():
            raise type(fault)(**fault.facts)  # each waiting request its own: a traceback would grow with each

    def _unusable(self) -> FatalError | None:
        faults = [server.fault for server in self._fleet.servers if server.out]
        fatal = [fault for fault in faults if isinstance(fault, FatalError)]
        return fatal[0] if len(fatal) == len(self._fleet.servers) else None

    async def _turn(self, queue: deque[asyncio.Future[None]]) -> None:
        """Return when there may be room."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(place)
        try:
            await place
        except asyncio.CancelledError:
            with suppress(ValueError):  # woken, and therefore not there any more
                queue.remove(place)
            self.wake()  # the room that this one was woken for is another's now
            raise

    @staticmethod
    def _wake(queue: deque[asyncio.Future[None]], count: int) -> None:
        while count > 0 and queue:
            place = queue.popleft()
            if not place.done():
                place.set_result(None)
                count -= 1
