"""Work slots: how many records are decoded and judged at a time, granted to one tenant after the other."""

from collections.abc import Callable

from service.fair_queue import FairQueue

Grant = Callable[[], bool]
"""Takes the slot; returns False when it is no longer wanted."""


class WorkSlots:
    """Grants a fixed number of slots; the requests of one tenant delay those of another by one slot at most."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._occupied = 0
        self._waiting: FairQueue[Grant] = FairQueue()

    @property
    def share(self) -> float:
        """Share of the slots that are occupied, 0 to 1."""
        return self._occupied / self._count

    def request(self, tenant: str, grant: Grant, *, first: bool = False) -> None:
        """Grant a slot now or when one becomes free; `first` puts it before the tenant's other requests."""
        if self._occupied < self._count and not self._waiting:
            self._grant(grant)
        else:
            self._waiting.push(tenant, grant, first=first)

    def release(self) -> None:
        """Free a slot, and grant it to the next request."""
        self._occupied -= 1
        while self._waiting and self._occupied < self._count:
            self._grant(self._waiting.pop())

    def _grant(self, grant: Grant) -> None:
        if grant():
            self._occupied += 1
