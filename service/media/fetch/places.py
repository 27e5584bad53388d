"""Places for fetches under way, shared between tenants and hosts, so that slow hosts leave some to all others."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from service.errors import RejectedError, TransientError
from service.fair_queue import FairQueue
from service.media.fetch.host_circuits import HostCircuit, HostCircuits
from service.telemetry import names
from service.telemetry.spans import waiting

_SHARE = 7
"""A tenant holds at most seven times the places that are free: 7/8 of them alone, 7/15 each of two, and so on. This is
the dynamic threshold by which switches share their buffers: whoever is new finds a place free."""

_HOST_SHARE = 0.75
"""No host takes more of the places, however well it answers: other hosts of the same tenant find some."""

_FEW = 8
"""Of fewer places than this none is kept back: a share of so few would leave too many of them idle."""

_STEP = 32
"""Waiting fetches that are refused in one step: each becomes a log line or a dead letter, which takes 0.1 ms."""

_STEP_PAUSE_S = 0.01
"""Between two steps: 3,200 refusals a second, which leave most of the event loop to others."""


class _Fetch:
    """A fetch that wants a place."""

    __slots__ = ("circuit", "granted", "has_place", "tenant")

    def __init__(self, tenant: str, circuit: "HostCircuit[_Fetch]") -> None:
        self.tenant = tenant
        self.circuit = circuit
        self.granted: asyncio.Future[None] | None = None
        self.has_place = False

    @property
    def is_given_up(self) -> bool:
        """Whether nobody waits for the place any more."""
        return self.granted is not None and self.granted.done()


class FetchPlaces:
    """A number of places for fetches. Who finds none waits, by tenant in turn; a host also has a limit of its own."""

    def __init__(self, count: int, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._keeps_one_back = count >= _FEW
        self._max_of_host = int(count * _HOST_SHARE) if self._keeps_one_back else count
        self._now_s = now_s
        self._free = count
        self._held: Counter[str] = Counter()
        self._circuits: HostCircuits[_Fetch] = HostCircuits()
        self._waiting: FairQueue[_Fetch] = FairQueue()

    @asynccontextmanager
    async def place(self, tenant: str, host: str) -> AsyncIterator[None]:
        """Hold a place while the block fetches from a host; how it ends is what is known about the host from then on.

        Raises `HostCircuitOpenError` while the host is not asked, because it kept failing.
        """
        fetch = _Fetch(tenant, self._circuits.of(host))
        try:
            with waiting(names.WAIT_CONNECTION):
                await self._enter(fetch)
            yield
        except TransientError as error:
            if fetch.has_place:
                fetch.circuit.failed(self._now_s(), error.reason)
            raise
        except RejectedError:  # the host answered, if only that there is no such image
            fetch.circuit.succeeded(self._max_of_host)
            raise
        else:
            fetch.circuit.succeeded(self._max_of_host)
        finally:
            self._leave(fetch)

    async def _enter(self, fetch: _Fetch) -> None:
        circuit = fetch.circuit
        if circuit.refuses(self._now_s()):
            raise circuit.refusal(self._now_s())
        if circuit.has_room and self._may_have(fetch.tenant) and not self._waiting.count(fetch.tenant):
            self._give(fetch)
            return
        fetch.granted = asyncio.get_running_loop().create_future()
        (self._waiting if circuit.has_room else circuit.waiting).push(fetch.tenant, fetch)
        await fetch.granted

    def _may_have(self, tenant: str) -> bool:
        """Tell whether a tenant may have another place; the last one is for a tenant that has none."""
        held = self._held.get(tenant, 0)
        if self._free <= 1 and held and self._keeps_one_back:
            return False
        return held < _SHARE * self._free

    def _give(self, fetch: _Fetch) -> None:
        self._free -= 1
        self._held[fetch.tenant] += 1
        fetch.circuit.active += 1
        fetch.has_place = True
        if fetch.granted is not None:
            fetch.granted.set_result(None)

    def _leave(self, fetch: _Fetch) -> None:
        if not fetch.has_place:
            return
        self._free += 1
        self._held[fetch.tenant] -= 1
        if not self._held[fetch.tenant]:
            del self._held[fetch.tenant]
        fetch.circuit.active -= 1
        self._go_on(fetch.circuit)
        self._give_free()

    def _go_on(self, circuit: HostCircuit[_Fetch]) -> None:
        """Let those that wait for a host wait for a place alone, or refuse them where its circuit has opened."""
        if not circuit.waiting:
            return
        if circuit.refuses(self._now_s()):
            self._refuse(circuit)
            return
        room = circuit.limit - circuit.active
        # As many of each tenant: those of one that may have no place now must not keep the host from the others.
        for tenant in circuit.waiting.owners if room > 0 else ():
            for _ in range(min(room, circuit.waiting.count(tenant))):
                self._waiting.push(tenant, circuit.waiting.pop_of(tenant))

    def _give_free(self) -> None:
        """Give the free places to those that may have them, each to the next tenant in turn."""
        refused = 0
        while self._free and (fetch := self._waiting.pop_where(self._may_have)) is not None:
            circuit = fetch.circuit
            if fetch.is_given_up:
                self._go_on(circuit)  # what it made way for at its host
            elif circuit.refuses(self._now_s()):
                self._refuse_one(fetch)
                refused += 1
                if refused == _STEP:
                    asyncio.get_running_loop().call_later(_STEP_PAUSE_S, self._give_free)
                    return
            elif circuit.has_room:
                self._give(fetch)
            else:
                circuit.waiting.push(fetch.tenant, fetch)

    def _refuse(self, circuit: HostCircuit[_Fetch]) -> None:
        for _ in range(min(_STEP, len(circuit.waiting))):
            self._refuse_one(circuit.waiting.pop())
        if circuit.waiting:
            asyncio.get_running_loop().call_later(_STEP_PAUSE_S, self._go_on, circuit)

    def _refuse_one(self, fetch: _Fetch) -> None:
        if fetch.granted is not None and not fetch.granted.done():
            fetch.granted.set_exception(fetch.circuit.refusal(self._now_s()))
