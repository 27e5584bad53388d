"""Work slots: how many records are decoded and judged at a time, granted to one tenant after the other."""

from typing import Protocol

from service.fair_queue import FairQueue


class SlotRequest(Protocol):
    """What waits for a slot."""

    def grant(self) -> bool:
        """Take the slot; return False when it is no longer wanted."""
        ...


class WorkSlots:
    """Grants a fixed number of slots; the requests of one tenant delay those of another by one slot at most."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._occupied = 0
        self._waiting: FairQueue[SlotRequest] = FairQueue()

    @property
    def share(self) -> float:
        """Share of the slots that are occupied, 0 to 1."""
        return self._occupied / self._count

    def request(self, tenant: str, request: SlotRequest, *, first: bool = False) -> None:
        """Grant a slot now or when one becomes free; `first` puts it before the tenant's other requests."""
        if self._occupied < self._count and not self._waiting:
            if request.grant():
                self._occupied += 1
        else:
            self._waiting.push(tenant, request, first=first)

    def release(self) -> None:
        """Free a slot, and grant it to the next request."""
        self._occupied -= 1
        while self._occupied < self._count and self._waiting:
            if self._waiting.pop().grant():
                self._occupied += 1
