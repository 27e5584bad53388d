"""Work slots, shared between tenants."""

from service.core.fair_queue import FairQueue
from service.delivery.window import WorkSlots


class Request:
    """A request for a slot that notes when it is granted."""

    def __init__(self, name: str, granted: list[str], *, wanted: bool) -> None:
        self._name = name
        self._granted = granted
        self._wanted = wanted

    def grant(self) -> bool:
        """Note it, unless it is no longer wanted."""
        if self._wanted:
            self._granted.append(self._name)
        return self._wanted


class Requests:
    """Requests for slots, and who got them."""

    def __init__(self, slots: WorkSlots) -> None:
        self._slots = slots
        self.granted: list[str] = []

    def request(self, tenant: str, name: str = "", *, first: bool = False, wanted: bool = True) -> None:
        """Ask for a slot."""
        self._slots.request(tenant, Request(name or tenant, self.granted, wanted=wanted), first=first)


def test_owners_take_turns_however_much_one_of_them_has() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(3):
        queue.push("shop", f"shop {number}")
    queue.push("club", "club 0")
    queue.push("shop", "urgent", first=True)
    assert len(queue) == 5
    assert [queue.pop() for _ in range(5)] == ["urgent", "club 0", "shop 0", "shop 1", "shop 2"]
    assert not queue


def test_a_burst_of_one_tenant_delays_another_by_one_slot() -> None:
    slots = WorkSlots(2)
    requests = Requests(slots)
    for number in range(100):
        requests.request("shop", f"shop {number}")
    requests.request("club")
    assert (requests.granted, slots.share) == (["shop 0", "shop 1"], 1.0)
    slots.release()
    slots.release()
    assert requests.granted[2:] == ["shop 2", "club"]


def test_a_record_that_goes_on_is_served_before_those_of_its_tenant_that_are_yet_to_start() -> None:
    slots = WorkSlots(1)
    requests = Requests(slots)
    for name in ("at work", "yet to start"):
        requests.request("shop", name)
    requests.request("shop", "goes on", first=True)
    slots.release()
    assert requests.granted == ["at work", "goes on"]


def test_a_slot_that_is_no_longer_wanted_goes_to_the_next() -> None:
    slots = WorkSlots(1)
    requests = Requests(slots)
    requests.request("shop", "at work")
    requests.request("shop", "aborted", wanted=False)
    requests.request("shop", "next")
    slots.release()
    assert requests.granted == ["at work", "next"]
    slots.release()
    assert slots.share == 0.0
