"""Queues images for the decoders, by tenant in turn, because the decoders take images in the order of arrival."""

from typing import Protocol

from service.core.fair_queue import DEFAULT_API_SHARE, FairTurns
from service.core.pixels import ImageSpec
from service.core.spans import waiting
from service.media.image_memory import Reservation
from service.media.sandbox import Confinement
from service.media.types import DecodedImage, FetchedImage
from service.telemetry import names

_BYTES_A_PIXEL = 3

_AHEAD = 1
"""Images beyond those in the decoders that wait there, so that no decoder waits for the event loop."""


class Decoder(Protocol):
    """The pool of decoders."""

    @property
    def waiting(self) -> int:
        """The number of images that wait for a decoder."""
        ...

    @property
    def process_ids(self) -> frozenset[int]:
        """The process ids of the present decoders."""
        ...

    @property
    def confinement(self) -> Confinement:
        """What holds all processes."""
        ...

    async def decode(self, fetched: FetchedImage, spec: ImageSpec) -> DecodedImage:
        """Decode an image to the spec."""
        ...


class DecodeQueue:
    """Hands images to the decoders; a burst of one tenant delays an image of another by one image."""

    def __init__(self, decoder: Decoder, *, api_share: float = DEFAULT_API_SHARE) -> None:
        self._decoder = decoder
        self._turns = FairTurns(len(decoder.process_ids) + _AHEAD, api_share=api_share)

    @property
    def waiting(self) -> int:
        """Images that wait for a process."""
        return self._turns.waiting + self._decoder.waiting

    @property
    def process_ids(self) -> frozenset[int]:
        """Ids of the processes that are there now."""
        return self._decoder.process_ids

    @property
    def confinement(self) -> Confinement:
        """What holds all processes."""
        return self._decoder.confinement

    async def decode(self, fetched: FetchedImage, spec: ImageSpec, memory: Reservation) -> DecodedImage:
        """Decode an image once there is memory for its pixels; raises what the decoders raise."""
        if not self._turns.try_acquire(memory.side):
            with waiting(names.WAIT_DECODER):
                await self._turns.acquire(memory.tenant, memory.side)
        try:
            await memory.add_pixels(spec.max_pixels * _BYTES_A_PIXEL)
            image = await self._decoder.decode(fetched, spec)
        finally:
            self._turns.release(memory.side)
        memory.decoded(sum(frame.nbytes for frame in image.frames))
        return image
