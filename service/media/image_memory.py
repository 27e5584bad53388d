"""Bytes for images: reserved before they arrive, freed when the engine is done with them.

An image goes through three states: *arriving*, *complete* (the file is there), *decoded* (the pixels are). What is
decoded ends by itself and frees its bytes. What is complete waits for nothing but that. So bytes come free as long as
there is anything complete; when there is nothing, one arriving image may go beyond the limit.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.core.fair_queue import FairQueue, Side

_FIRST_STEP_BYTES = 512 * 1024
"""Reserved before anything arrives: what a connection reads ahead, in its buffers and those of the parser."""

_LAST_STEP_BYTES = 1024 * 1024
"""Steps double up to this while an image arrives: what a server announces and does not send takes no memory."""

_API = "\0api"
"""All requests to the API count as one owner here; no tenant's name has a control character."""

_OWNER_SHARE = 0.75
"""No tenant holds more of the bytes, and the API does not, so that others find some."""


class Reservation:
    """The bytes that one image holds."""

    __slots__ = ("_memory", "_when_decoding", "held_bytes", "is_complete", "is_decoded", "owner", "side", "tenant")

    def __init__(self, memory: "ImageMemory", tenant: str, side: Side) -> None:
        self._memory = memory
        self._when_decoding: Callable[[], None] | None = None
        self.side = side
        self.tenant = tenant if side == "stream" else f"{_API} {tenant}"
        """Whose connections and decoders the image takes. A tenant's requests and its records are apart."""
        self.owner = tenant if side == "stream" else _API
        """Whose memory it takes."""
        self.held_bytes = 0
        self.is_complete = False
        self.is_decoded = False

    def try_grow(self, size_bytes: int) -> bool:
        """Reserve bytes for an arriving image up to this size if they are free now; return whether they were."""
        return size_bytes <= self.held_bytes or self._memory.try_add(self, _next_step(size_bytes) - self.held_bytes)

    async def grow(self, size_bytes: int) -> None:
        """Wait until bytes up to this size are reserved for an arriving image."""
        if not self.try_grow(size_bytes):
            await self._memory.wait_for(self, _next_step(size_bytes) - self.held_bytes)

    def arrived(self, size_bytes: int, *, when_decoding: Callable[[], None] | None = None) -> None:
        """Take note that the image is complete, and of its size; frees what was reserved beyond.

        `when_decoding` is called when its decoding begins, or when it ends without.
        """
        self.is_complete = True
        self._when_decoding = when_decoding
        self._memory.changed(self, size_bytes - self.held_bytes, complete=1)

    async def add_pixels(self, size_bytes: int) -> None:
        """Wait for the bytes of the pixels; decoding begins afterwards."""
        self.begin_decoding()
        await self._memory.wait_for_pixels(self, size_bytes)

    def begin_decoding(self) -> None:
        """Run the callback for the begin of decoding, once."""
        if self._when_decoding is not None:
            self._when_decoding()
            self._when_decoding = None

    def decoded(self, size_bytes: int) -> None:
        """Set the true size of the pixels, and free the encoded image."""
        self._memory.changed(self, size_bytes - self.held_bytes)


class _Wait:
    """An image that waits for bytes."""

    __slots__ = ("came", "reservation", "size_bytes")

    def __init__(self, reservation: Reservation, size_bytes: int) -> None:
        self.reservation = reservation
        self.size_bytes = size_bytes
        self.came: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class ImageMemory:
    """A number of bytes that all images share, by tenant in turn.

    At most so many are held, and beyond that one image that arrives and the pixels of one. An animation holds what was
    reserved for one frame until all its frames are known.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._max_of_owner = limit_bytes * _OWNER_SHARE
        self._held = 0
        self._of_owner: Counter[str] = Counter()
        self._complete = 0
        self._decoded = 0
        self._beyond: Reservation | None = None
        """The arriving image that may go beyond the limit."""
        self._arriving: FairQueue[_Wait] = FairQueue()
        self._pixels: FairQueue[_Wait] = FairQueue()

    @property
    def held_bytes(self) -> int:
        """The bytes that are reserved."""
        return self._held

    @property
    def share(self) -> float:
        """The share of the bytes that is reserved, 0 to 1."""
        return min(self._held / self._limit, 1.0)

    @contextmanager
    def reservation(self, tenant: str, side: Side = "stream") -> Iterator[Reservation]:
        """Yield a reservation for an image, and free its bytes at the end of the block."""
        reservation = Reservation(self, tenant, side)
        try:
            yield reservation
        finally:
            reservation.begin_decoding()
            self._complete -= reservation.is_complete
            self._decoded -= reservation.is_decoded
            if self._beyond is reservation:
                self._beyond = None
            self.changed(reservation, -reservation.held_bytes)

    def try_add(self, reservation: Reservation, size_bytes: int) -> bool:
        """Reserve bytes for an arriving image if they are free now; return whether they are reserved."""
        if self._arriving.count(reservation.owner) and self._beyond is not reservation:
            return False
        if not self._may_grow(reservation, size_bytes):
            return False
        self._add(reservation, size_bytes)
        return True

    async def wait_for(self, reservation: Reservation, size_bytes: int) -> None:
        """Wait until bytes for an arriving image are free, and reserve them."""
        await self._wait(self._arriving, reservation, size_bytes)

    async def wait_for_pixels(self, reservation: Reservation, size_bytes: int) -> None:
        """Wait until bytes for the pixels of a complete image are free, and reserve them."""
        await self._wait(self._pixels, reservation, size_bytes)

    def changed(self, reservation: Reservation, size_bytes: int, *, complete: int = 0) -> None:
        """Count bytes that are reserved without waiting; a negative number frees bytes."""
        self._complete += complete
        if complete and self._beyond is reservation:
            self._beyond = None
        self._add(reservation, size_bytes)
        self._grant()

    async def _wait(self, queue: FairQueue[_Wait], reservation: Reservation, size_bytes: int) -> None:
        wait = _Wait(reservation, size_bytes)
        queue.push(reservation.owner, wait)
        self._grant()
        await wait.came

    def _add(self, reservation: Reservation, size_bytes: int) -> None:
        self._held += size_bytes
        reservation.held_bytes += size_bytes
        held = self._of_owner[reservation.owner] + size_bytes
        if held:
            self._of_owner[reservation.owner] = held
        else:
            del self._of_owner[reservation.owner]

    def _may_grow(self, reservation: Reservation, size_bytes: int) -> bool:
        if self._beyond is reservation:
            return True
        held = self._of_owner.get(reservation.owner, 0)
        return self._held + size_bytes <= self._limit and (not held or held + size_bytes <= self._max_of_owner)

    def _may_decode(self, size_bytes: int) -> bool:
        """Return whether pixels may be added: what is decoded ends and frees them, and when nothing is, one may."""
        return not self._decoded or self._held + size_bytes <= self._limit

    def _grant(self) -> None:
        self._grant_from(self._pixels, lambda wait: self._may_decode(wait.size_bytes), decoded=True)
        self._grant_from(self._arriving, lambda wait: self._may_grow(wait.reservation, wait.size_bytes))
        if self._arriving and not self._complete and self._beyond is None:
            self._let_one_go_beyond()

    def _grant_from(self, queue: FairQueue[_Wait], may: Callable[[_Wait], bool], *, decoded: bool = False) -> None:
        def is_next(owner: str) -> bool:
            wait = queue.peek(owner)
            return wait.came.done() or may(wait)

        while (wait := queue.pop_where(is_next)) is not None:
            if wait.came.done():  # it was cancelled
                continue
            if decoded:
                wait.reservation.is_decoded = True
                self._decoded += 1
            self._add(wait.reservation, wait.size_bytes)
            wait.came.set_result(None)

    def _let_one_go_beyond(self) -> None:
        while self._arriving:
            wait = self._arriving.pop()
            if not wait.came.done():
                self._beyond = wait.reservation
                self._add(wait.reservation, wait.size_bytes)
                wait.came.set_result(None)
                return


def _next_step(size_bytes: int) -> int:
    step_bytes = _FIRST_STEP_BYTES
    while step_bytes < size_bytes and step_bytes < _LAST_STEP_BYTES:
        step_bytes *= 2
    return -(-size_bytes // step_bytes) * step_bytes
