"""Pure: how many fetches a host may have at a time, by its earlier responses; none while its circuit is open."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from service.core.fair_queue import FairQueue
from service.media.errors import HostCircuitOpenError
from service.media.fetch.hosts import is_own_store

T = TypeVar("T")

FIRST_LIMIT = 8
"""Fetches at a time of a host that is not known yet: a host that never answers holds no more connections."""

FAILURES_TO_OPEN = 5
"""Failures in a row that open a circuit: more than one bad image, fewer than the fetches that are under way."""

FIRST_OPEN_S = 1.0
"""A circuit that opens for the first time lets the next fetch through after so long: a host that hiccups is back."""

MAX_OPEN_S = 60.0
"""Each probe that fails doubles the time up to this: a host that is back is found within a minute."""

MAX_PATIENT = 256
"""Records that may wait for the next probe of a host that never answered; further ones are refused for good, so that
the records of a dead host do not fill the window."""

MAX_PATIENT_KNOWN = 3072
"""The same for a host that has answered before and is likely to be back: three quarters of what may wait by default."""

MAX_HOSTS = 10_000
"""Hosts remembered, by tenant, 0.5 kB each; beyond, the one that was asked longest ago is forgotten."""


@dataclass(slots=True, eq=False)
class HostCircuit(Generic[T]):
    """The circuit of one host of one tenant: successes, failures, and waiting records."""

    host: str
    limit: int = FIRST_LIMIT
    """Fetches that may be under way: doubles with each success, halves with each failure."""
    active: int = 0
    """Fetches under way."""
    waiting: FairQueue[T] = field(default_factory=FairQueue)
    """Fetches above the limit, by tenant."""
    has_answered: bool = False
    """Whether a fetch has succeeded."""
    failures: int = 0
    """Failures since the last success."""
    last_failure: str = ""
    """Reason code of the last failure."""
    open_s: float = 0.0
    """How long the circuit was opened for; 0 while it is closed."""
    open_until_s: float = 0.0
    """When the next fetch may probe the host, if the circuit is open."""
    refused: int = 0
    """Records refused since the circuit opened or was last probed."""

    @property
    def has_room(self) -> bool:
        """Whether another fetch from the host may begin."""
        return self.active < self.limit

    def refuses(self, now_s: float) -> bool:
        """Return whether the circuit is open. The first fetch after its time is a probe, and passes alone."""
        return bool(self.open_s) and (now_s < self.open_until_s or self.active > 0)

    def refusal(self, now_s: float) -> HostCircuitOpenError:
        """Return the error for a record whose host has an open circuit."""
        self.refused += 1
        most = MAX_PATIENT_KNOWN if self.has_answered else MAX_PATIENT
        return HostCircuitOpenError(
            host=self.host,
            failures=self.failures,
            last_failure=self.last_failure,
            retry_in_s=round(max(self.open_until_s - now_s, 0.0), 1),
            # When a store of the operator fails, the window may fill: whatever is read then would fail too.
            is_crowded=self.refused > most and not is_own_store(self.host),
        )

    def succeeded(self, max_limit: int) -> None:
        """Record a response: the circuit closes."""
        if self.open_s:
            self.open_s, self.limit = 0.0, FIRST_LIMIT
        self.has_answered, self.failures = True, 0
        self.limit = min(self.limit * 2, max_limit)

    def failed(self, now_s: float, reason: str) -> None:
        """Record a failure: the host gets fewer connections, then none for a while."""
        self.failures += 1
        self.last_failure = reason
        self.limit = max(self.limit // 2, 1)
        if now_s < self.open_until_s:
            return  # it began before the circuit opened
        if self.open_s or self.failures >= FAILURES_TO_OPEN:
            self.open_s = min(self.open_s * 2, MAX_OPEN_S) if self.open_s else FIRST_OPEN_S
            self.open_until_s = now_s + self.open_s
            self.refused = 0


class HostCircuits(Generic[T]):
    """The circuits of the hosts that were asked lately, by tenant.

    A tenant can make requests fail at a host that it shares with others: by addresses there that answer with errors, or
    that redirect to a dead host.
    """

    def __init__(self, *, max_hosts: int = MAX_HOSTS) -> None:
        self._max_hosts = max_hosts
        self._circuits: OrderedDict[tuple[str, str], HostCircuit[T]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._circuits)

    def of(self, tenant: str, host: str) -> HostCircuit[T]:
        """Return the circuit of a tenant's host."""
        circuit = self._circuits.get((tenant, host))
        if circuit is None:
            self._circuits[tenant, host] = circuit = HostCircuit(host)
            if len(self._circuits) > self._max_hosts:
                self._forget_one()
        else:
            self._circuits.move_to_end((tenant, host))
        return circuit

    def _forget_one(self) -> None:
        """Forget the one that was asked longest ago of those without a fetch under way."""
        idle = next((key for key, circuit in self._circuits.items() if not circuit.active), None)
        if idle is not None:
            del self._circuits[idle]
