"""The window of work in flight, bounded by records and bytes; the span is bounded where records are received."""

import asyncio

from service.settings import WindowSettings

_AHEAD = 4
"""A quarter of the window is received ahead: when a record lands the next one starts at once, without a poll."""

_REFILL = 2
"""Half of what is received ahead is free before a full window takes more: a poll for each record costs more than it."""


class Window:
    """Counts what was admitted and what of it is worked on, and says when there is room for more."""

    def __init__(self, settings: WindowSettings) -> None:
        self._slots = settings.max_records
        ahead = settings.max_records // _AHEAD
        self._max_records = settings.max_records + ahead
        self._refill = max(ahead // _REFILL, 1)
        self._max_bytes = settings.max_bytes
        self._records = 0
        self._occupied = 0
        self._bytes = 0
        self._has_room = asyncio.Event()
        self._has_room.set()

    @property
    def records(self) -> int:
        """Records in flight, those received ahead included."""
        return self._records

    @property
    def held_bytes(self) -> int:
        """Bytes held for them."""
        return self._bytes

    @property
    def records_share(self) -> float:
        """Share of the records that may be in flight."""
        return self._records / self._max_records

    @property
    def bytes_share(self) -> float:
        """Share of the bytes that may be held; 1 also when more are, as an image's are known only once it is there."""
        return min(self._bytes / self._max_bytes, 1.0)

    @property
    def room(self) -> int:
        """How many records may be admitted now; one at least when nothing is in flight, however large it is."""
        if self._bytes >= self._max_bytes and self._records:
            return 0
        return max(self._max_records - self._records, 0)

    @property
    def takes_more(self) -> bool:
        """Whether it is time to receive: false from when the window is full until there is room worth a poll."""
        return self._has_room.is_set()

    @property
    def has_slot(self) -> bool:
        """Whether work on another record may start."""
        return self._occupied < self._slots

    def admit(self, size_bytes: int) -> None:
        """Take in a record."""
        self._records += 1
        self.hold(size_bytes)

    def occupy(self) -> None:
        """Start work on a record."""
        self._occupied += 1

    def hold(self, size_bytes: int) -> None:
        """Count more bytes for a record in flight."""
        self._bytes += size_bytes
        if not self.room:
            self._has_room.clear()

    def release(self, size_bytes: int, *, occupied: bool) -> None:
        """Let go of a record, of all bytes that were held for it, and of its slot if it had one."""
        self._records -= 1
        self._occupied -= occupied
        self._bytes -= size_bytes
        if self.room >= self._refill:
            self._has_room.set()

    async def wait_for_room(self) -> None:
        """Wait until it is time to receive, or until interrupted."""
        await self._has_room.wait()

    def interrupt(self) -> None:
        """End the current wait, and the next."""
        self._has_room.set()
