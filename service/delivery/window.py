"""Bounds on records in flight, by number and by bytes of events. The span is bounded where records are received."""

import asyncio
from collections import deque
from typing import Generic, Protocol, TypeVar

from service.core.fair_queue import FairQueue
from service.settings.delivery import WindowSettings

_POLL = 4
"""A poll takes a quarter more records than there are work slots at most: what it returns is read in one step."""

_REFILL = 8
"""Room for an eighth of the work slots is worth a poll once the window was full: a poll for each record costs more."""


_EVENTS_SHARE = 0.5
"""Half of the bytes are for events, half for images that are fetched and decoded: neither keeps the other out."""


class Window:
    """Counts the records in flight and the bytes held for them, and decides whether there is room for more."""

    def __init__(self, settings: WindowSettings, *, reads_ahead: bool = True) -> None:
        ahead = settings.max_waiting if reads_ahead else min(settings.max_waiting, settings.max_records // _POLL)
        self._max_records = settings.max_records + ahead
        self._poll = settings.max_records + settings.max_records // _POLL
        self._refill = max(min(settings.max_waiting, settings.max_records // _REFILL), 1)
        self._max_bytes = settings.max_bytes * _EVENTS_SHARE
        self._records = 0
        self._bytes = 0
        self._has_room = asyncio.Event()
        self._has_room.set()

    @property
    def records(self) -> int:
        """The number of records in flight, including those that wait."""
        return self._records

    @property
    def held_bytes(self) -> int:
        """The bytes held for the records in flight."""
        return self._bytes

    @property
    def records_share(self) -> float:
        """The share of the records that may be in flight, at work or waiting, that is in use, 0 to 1."""
        return self._records / self._max_records

    @property
    def bytes_share(self) -> float:
        """The share of the bytes that is in use, at most 1, although a single record may exceed the limit."""
        return min(self._bytes / self._max_bytes, 1.0)

    @property
    def room(self) -> int:
        """The number of records that may be admitted now; at least one if none is in flight, however large it is."""
        if self._bytes >= self._max_bytes and self._records:
            return 0
        return max(self._max_records - self._records, 0)

    @property
    def poll(self) -> int:
        """The number of records to receive next."""
        return min(self.room, self._poll)

    @property
    def takes_more(self) -> bool:
        """Whether to receive: false from when the window is full until there is room for a poll."""
        return self._has_room.is_set()

    def admit(self, size_bytes: int) -> None:
        """Count a record."""
        self._records += 1
        self.hold(size_bytes)

    def hold(self, size_bytes: int) -> None:
        """Count more bytes for a record in flight."""
        self._bytes += size_bytes
        if not self.room:
            self._has_room.clear()

    def release(self, size_bytes: int) -> None:
        """Stop counting a record and all bytes that were held for it."""
        self._records -= 1
        self._bytes -= size_bytes
        if self.room >= self._refill:
            self._has_room.set()

    async def wait_for_room(self) -> None:
        """Wait until it is time to receive, or until interrupted."""
        await self._has_room.wait()

    def interrupt(self) -> None:
        """End the current wait, and the next."""
        self._has_room.set()


def images_bytes(settings: WindowSettings) -> int:
    """Return the bytes of the window that are for images."""
    return int(settings.max_bytes * (1 - _EVENTS_SHARE))


class SlotRequest(Protocol):
    """A request for a work slot."""

    def grant(self) -> bool:
        """Take the slot; return False if it is no longer needed."""
        ...


class WorkSlots:
    """Grants a fixed number of slots; the requests of one tenant delay those of another by one slot at most."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._occupied = 0
        self._waiting: FairQueue[SlotRequest] = FairQueue()

    @property
    def share(self) -> float:
        """The share of the slots that are in use, 0 to 1."""
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


T = TypeVar("T")


class KeyOrder(Generic[T]):
    """Keeps the unfinished records of every key, the oldest first."""

    def __init__(self) -> None:
        self._unfinished: dict[bytes, deque[T]] = {}

    def admit(self, key: bytes | None, item: T) -> bool:
        """Add a record, in the order of offsets; return True if it may start now."""
        if key is None:
            return True
        items = self._unfinished.setdefault(key, deque())
        items.append(item)
        return len(items) == 1

    def finish(self, key: bytes | None, item: T) -> T | None:
        """Remove a finished or aborted record; return the record that may start because of that."""
        items = None if key is None else self._unfinished.get(key)
        if key is None or items is None or item not in items:
            return None
        was_first = items[0] is item
        items.remove(item)
        if not items:
            del self._unfinished[key]
            return None
        return items[0] if was_first else None
