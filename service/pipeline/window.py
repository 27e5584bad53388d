"""Bounds on what is in flight, by records and bytes of events; the span is bounded where records are received."""

import asyncio

from service.settings import WindowSettings

_POLL = 4
"""A poll takes a quarter more records than there are work slots at most: what it returns is read in one step."""

_REFILL = 8
"""Room for an eighth of the work slots is worth a poll once the window was full: a poll for each record costs more."""


_EVENTS_SHARE = 0.5
"""Half of the bytes are for events, half for images that are fetched and decoded: neither keeps the other out."""


class Window:
    """Counts the records in flight and the bytes held for them, and says when there is room for more."""

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
        """Records in flight, those that wait included."""
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
        """Share of the bytes that may be held; 1 also when more are, as one record may be larger than all of it."""
        return min(self._bytes / self._max_bytes, 1.0)

    @property
    def room(self) -> int:
        """How many records may be admitted now; one at least when nothing is in flight, however large it is."""
        if self._bytes >= self._max_bytes and self._records:
            return 0
        return max(self._max_records - self._records, 0)

    @property
    def poll(self) -> int:
        """How many records to receive next."""
        return min(self.room, self._poll)

    @property
    def takes_more(self) -> bool:
        """Whether it is time to receive: false from when the window is full until there is room worth a poll."""
        return self._has_room.is_set()

    def admit(self, size_bytes: int) -> None:
        """Take in a record."""
        self._records += 1
        self.hold(size_bytes)

    def hold(self, size_bytes: int) -> None:
        """Count more bytes for a record in flight."""
        self._bytes += size_bytes
        if not self.room:
            self._has_room.clear()

    def release(self, size_bytes: int) -> None:
        """Let go of a record and of all bytes that were held for it."""
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
    """Return how many of the window's bytes are for images."""
    return int(settings.max_bytes * (1 - _EVENTS_SHARE))
