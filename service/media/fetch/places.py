"""Connections for fetches, shared between tenants and hosts, so that slow hosts do not take all of them."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from service.core.errors import RejectedError, TransientError
from service.core.fair_queue import FairQueue
from service.core.spans import waiting
from service.media.errors import (
    AddressNotAllowedError,
    FetchCrowdedError,
    ImageReferenceError,
    SchemeNotAllowedError,
)
from service.media.fetch.host_circuits import HostCircuit, HostCircuits
from service.telemetry import names

_SHARE = 7
"""A tenant holds at most seven times the places that are free: 7/8 of them alone, 7/15 each of two, and so on. This is
the dynamic threshold by which switches share their buffers: a new tenant finds a place free."""

_HOST_SHARE = 0.75
"""No host takes more of a tenant's places, however well it answers: other hosts of the same tenant find some."""

_MAX_WAITING = 1024
"""Images of a tenant that may wait while nothing of it arrives: a quarter of what the window holds by default."""

_NOTHING_ARRIVES = 32
"""Failures in a row after which nothing seems to arrive for a tenant, whichever hosts it names."""

_FEW = 8
"""With fewer places than this none is kept free, because too large a share of them would be idle."""

_SAY_NOTHING = (AddressNotAllowedError, ImageReferenceError, SchemeNotAllowedError)
"""Rejections of what an event says, before its host is asked: a dead host would look alive."""

_STEP = 32
"""Waiting fetches that are refused in one step: each becomes a log line or a dead letter, which takes 0.1 ms."""

_STEP_PAUSE_S = 0.01
"""Pause between two steps: 3,200 refusals a second, which leave most of the event loop's time to other tasks."""


class _Fetch:
    """A fetch that wants a place."""

    __slots__ = ("_leave", "circuit", "granted", "has_place", "is_kept", "tenant")

    def __init__(self, tenant: str, circuit: "HostCircuit[_Fetch]", leave: Callable[["_Fetch"], None]) -> None:
        self._leave = leave
        self.is_kept = False
        self.tenant = tenant
        self.circuit = circuit
        self.granted: asyncio.Future[None] | None = None
        self.has_place = False

    def keep(self) -> Callable[[], None]:
        """Keep the place beyond the fetch; call what is returned to leave it."""
        self.is_kept = True
        return lambda: self._leave(self)

    @property
    def is_given_up(self) -> bool:
        """Whether no request waits for the place any more."""
        return self.granted is not None and self.granted.done()


class FetchPlaces:
    """A fixed number of connections.

    Fetches wait for one by tenant in turn; each host of a tenant has a limit of its own.
    """

    def __init__(self, count: int, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._keeps_one_back = count >= _FEW
        self._max_of_host = int(count * _HOST_SHARE) if self._keeps_one_back else count
        self._now_s = now_s
        self._free = count
        self._held: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        """Failures in a row, by tenant that has fetches."""
        self._circuits: HostCircuits[_Fetch] = HostCircuits()
        self._waiting: FairQueue[_Fetch] = FairQueue()

    @asynccontextmanager
    async def place(self, tenant: str, host: str) -> AsyncIterator[_Fetch]:
        """Hold a place while the block fetches from a host; how it ends is what is known about the host from then on.

        Raises `HostCircuitOpenError` while the host is not asked, because it kept failing, and `FetchCrowdedError` when
        too many of the tenant's images wait and nothing of it arrives.
        """
        fetch = _Fetch(tenant, self._circuits.of(tenant, host), self._leave)
        try:
            with waiting(names.WAIT_CONNECTION):
                await self._enter(fetch)
            yield fetch
        except TransientError as error:
            if fetch.has_place:
                self._failed[tenant] += 1
                fetch.circuit.failed(self._now_s(), error.reason)
            raise
        except RejectedError as error:
            if not isinstance(error, _SAY_NOTHING):  # the host answered, if only that there is no such image
                self._succeeded(fetch)
            raise
        else:
            self._succeeded(fetch)
        finally:
            if not fetch.is_kept:
                self._leave(fetch)

    def _succeeded(self, fetch: _Fetch) -> None:
        self._failed.pop(fetch.tenant, None)
        fetch.circuit.succeeded(self._max_of_host)

    async def _enter(self, fetch: _Fetch) -> None:
        circuit = fetch.circuit
        if circuit.refuses(self._now_s()):
            raise circuit.refusal(self._now_s())
        if circuit.has_room and self._may_have(fetch.tenant) and not self._waiting.count(fetch.tenant):
            self._give(fetch)
            return
        if self._is_crowded(fetch.tenant, self._waiting.count(fetch.tenant) + 1):
            raise self._crowded(fetch.tenant)
        fetch.granted = asyncio.get_running_loop().create_future()
        (self._waiting if circuit.has_room else circuit.waiting).push(fetch.tenant, fetch)
        await fetch.granted

    def _is_crowded(self, tenant: str, number: int) -> bool:
        """Return whether so many images of a tenant are too many to wait, as nothing of it arrives."""
        return number > _MAX_WAITING and self._failed[tenant] >= _NOTHING_ARRIVES

    def _crowded(self, tenant: str) -> FetchCrowdedError:
        return FetchCrowdedError(waiting=self._waiting.count(tenant), failures=self._failed[tenant])

    def _may_have(self, tenant: str) -> bool:
        """Return whether a tenant may have another place; the last one is for a tenant that has none."""
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
            if not self._waiting.count(fetch.tenant):
                self._failed.pop(fetch.tenant, None)
        fetch.circuit.active -= 1
        self._go_on(fetch.circuit)
        self._refuse_crowd(fetch.tenant)
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
                self._refuse_one(fetch, circuit.refusal(self._now_s()))
                refused += 1
                if refused == _STEP:
                    asyncio.get_running_loop().call_later(_STEP_PAUSE_S, self._give_free)
                    return
            elif circuit.has_room:
                self._give(fetch)
            else:
                circuit.waiting.push(fetch.tenant, fetch)

    def _refuse_crowd(self, tenant: str) -> None:
        for _ in range(_STEP):
            if not self._is_crowded(tenant, self._waiting.count(tenant)):
                return
            error = self._crowded(tenant)
            self._refuse_one(self._waiting.pop_of(tenant), error)
        asyncio.get_running_loop().call_later(_STEP_PAUSE_S, self._refuse_crowd, tenant)

    def _refuse(self, circuit: HostCircuit[_Fetch]) -> None:
        for _ in range(min(_STEP, len(circuit.waiting))):
            self._refuse_one(circuit.waiting.pop(), circuit.refusal(self._now_s()))
        if circuit.waiting:
            asyncio.get_running_loop().call_later(_STEP_PAUSE_S, self._go_on, circuit)

    @staticmethod
    def _refuse_one(fetch: _Fetch, error: TransientError) -> None:
        if fetch.granted is not None and not fetch.granted.done():
            fetch.granted.set_exception(error)
