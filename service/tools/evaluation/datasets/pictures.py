"""Finds the files of a dataset's images: reads or fetches each, checks its hash, and decodes it once."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from schemas.image_uploaded import ImageByUrlV1, ImageReferenceV1
from service.core.errors import RejectedError, TransientError
from service.core.pixels import ImageSpec
from service.media.fetch.files import FileReader
from service.media.image_memory import ImageMemory, Reservation
from service.media.types import DecodedImage, FetchedImage
from service.tools.evaluation.datasets.dataset import Example
from service.tools.evaluation.datasets.image_store import ImageStore

_SPEC = ImageSpec(max_pixels=256 * 256)
"""Large enough for different pictures to differ, and small enough to decode fast."""

_AT_A_TIME = 16
"""Images that are fetched and decoded side by side: their files and pixels are in memory."""

WRONG_HASH = "dataset.wrong_sha256"


class Fetcher(Protocol):
    """Fetches URLs within the service's limits."""

    async def fetch(self, reference: ImageReferenceV1, memory: Reservation | None = None) -> FetchedImage:
        """Fetch one image; raise `RejectedError` or `TransientError`."""
        ...


class Decoder(Protocol):
    """Decodes image files in processes without rights."""

    async def decode(self, fetched: FetchedImage, spec: ImageSpec, memory: Reservation) -> DecodedImage:
        """Decode one image; raise `RejectedError` or `TransientError`."""
        ...


@dataclass(frozen=True, slots=True)
class Picture:
    """An example whose image was read and decoded."""

    example: Example
    path: Path
    sha256: str
    pixels: str
    """SHA-256 of its decoded pixels and its size: equal for a copy in another lossless form."""


@dataclass(frozen=True, slots=True)
class NoPicture:
    """An example whose image cannot be judged, and the reason."""

    example: Example
    reason: str
    """A stable code: that of the service's error, or one of this module's."""
    detail: str


@dataclass(frozen=True, slots=True)
class Gatherer:
    """Finds the files of examples."""

    fetcher: Fetcher
    decoder: Decoder
    memory: ImageMemory
    files: FileReader
    store: ImageStore
    spec: ImageSpec = _SPEC
    """The size in which pixels are compared, and passed to `on_decoded`."""
    on_decoded: Callable[[Example, DecodedImage], None] | None = None
    """Called in a thread with the pixels of each image; its errors end the gathering."""

    async def gather(
        self, examples: Sequence[Example], on_found: Callable[[], None] = lambda: None
    ) -> Sequence[Picture | NoPicture]:
        """Return every example's picture, or why there is none, in their order."""
        found: dict[int, Picture | NoPicture] = {}
        waiting = iter(enumerate(examples))

        async def work() -> None:
            for number, example in waiting:
                found[number] = await self._find(example)
                on_found()

        async with asyncio.TaskGroup() as group:
            for number in range(min(_AT_A_TIME, len(examples))):
                group.create_task(work(), name=f"gather {number}")
        return [found[number] for number in range(len(examples))]

    async def _find(self, example: Example) -> Picture | NoPicture:
        try:
            with self.memory.reservation(example.tenant) as memory:
                data, path = await self._read(example, memory)
                sha256 = hashlib.sha256(data).hexdigest()
                if example.sha256 not in {None, sha256}:
                    return NoPicture(example, WRONG_HASH, _difference(example, sha256, path))
                image = await self.decoder.decode(FetchedImage(data), self.spec, memory)
                if self.on_decoded is not None:
                    await asyncio.to_thread(self.on_decoded, example, image)
            if path is None:
                path = (await asyncio.to_thread(self.store.keep, data))[1]
        except (RejectedError, TransientError) as error:
            return NoPicture(example, error.reason, str(error))
        return Picture(example, path, sha256, _pixels_of(image))

    async def _read(self, example: Example, memory: Reservation) -> tuple[bytes | bytearray, Path | None]:
        """Return an image file, and its path if it has one already."""
        path = example.location if isinstance(example.location, Path) else self._kept(example)
        if path is not None:
            return await asyncio.to_thread(self.files.read, path.resolve().as_uri()), path
        return (await self.fetcher.fetch(ImageByUrlV1(url=str(example.location)), memory)).data, None

    def _kept(self, example: Example) -> Path | None:
        return None if example.sha256 is None else self.store.find(example.sha256)


def _difference(example: Example, sha256: str, path: Path | None) -> str:
    where = f"of {path} " if path else ""
    return f"the SHA-256 {where}is {sha256}, and the dataset says {example.sha256}"


def _pixels_of(image: DecodedImage) -> str:
    digest = hashlib.sha256(f"{image.width} {image.height} {image.frames_total}".encode())
    for frame in image.frames:
        digest.update(frame.tobytes())
    return digest.hexdigest()
