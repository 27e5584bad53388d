"""Small pictures of images for reports: fetched by the service's guarded fetcher, decoded by its confined decoders.

Every bound of the settings `media.fetch` and `media.decode` holds; a report has its own beside them, on the number, the
bytes and the time of all images together.
"""

import asyncio
import base64
import io
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from PIL import Image as Pillow

from schemas.image_uploaded import ImageReferenceV1
from service.core.errors import RejectedError, TransientError
from service.core.pixels import ImageSpec, RgbPixels
from service.media.decode_pool import ImageDecoder
from service.media.fetch.fetcher import ImageFetcher
from service.media.sandbox import hide_process
from service.media.types import DecodedImage, FetchedImage
from service.settings.media import MediaSettings

_PIXELS = 240 * 180
"""Of a picture: twice what a card shows in each direction would be eight times the report."""

_QUALITY = 60
"""Of WebP: some 5 KB a picture."""

_AT_ONCE = 8
"""Images that are fetched at the same time."""

MAX_TIME_S = 120.0
"""For all images of a report together."""

MAX_FETCHED_BYTES = 1024**3
"""Of all images of a report together."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture, or why there is none."""

    picture: str | None = None
    """A `data:` URI."""
    missing: str = ""
    """Why there is none."""


class Seen(Protocol):
    """An image that was judged before."""

    @property
    def sha256(self) -> str:
        """The hash of the file that was judged."""
        ...


Image = TypeVar("Image", bound=Seen)


async def thumbnails(
    references: Mapping[Image, ImageReferenceV1],
    settings: MediaSettings,
    *,
    max_time_s: float = MAX_TIME_S,
    max_fetched_bytes: int = MAX_FETCHED_BYTES,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Mapping[Image, Thumbnail]:
    """Return a thumbnail of each image. What cannot be fetched or decoded is missing with its reason code.

    Raises `FatalError` where no image can be decoded at all.
    """
    found: dict[Image, Thumbnail] = {}
    async with AsyncExitStack() as stack:
        fetcher = await stack.enter_async_context(ImageFetcher(settings.fetch))
        hide_process()
        decoder = ImageDecoder(settings.decode)
        stack.push_async_callback(decoder.close)
        await decoder.start()
        drawing = _Drawing(fetcher, decoder, max_fetched_bytes)

        async def draw(image: Image, reference: ImageReferenceV1) -> None:
            found[image] = await drawing.thumbnail(reference, image.sha256)
            on_progress(len(found), len(references))

        try:
            async with asyncio.timeout(max_time_s), asyncio.TaskGroup() as group:
                for image, reference in references.items():
                    group.create_task(draw(image, reference), name="thumbnail")
        except TimeoutError:
            pass
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
    late = Thumbnail(missing=f"not fetched within {max_time_s:g} s")
    return {image: found.get(image, late) for image in references}


class _Drawing:
    """Fetches and decodes, a number of images at a time."""

    def __init__(self, fetcher: ImageFetcher, decoder: ImageDecoder, max_bytes: int) -> None:
        self._fetcher = fetcher
        self._decoder = decoder
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._bytes_left = max_bytes

    async def thumbnail(self, reference: ImageReferenceV1, sha256: str) -> Thumbnail:
        async with self._turns:
            if self._bytes_left <= 0:
                return Thumbnail(missing="not fetched: the images before it took all bytes of a report")
            try:
                fetched = await self._fetch(reference)
                decoded = await self._decoder.decode(fetched, ImageSpec(_PIXELS))
            except (RejectedError, TransientError) as error:
                return Thumbnail(missing=f"gone: {error.reason}")
        if decoded.sha256 != sha256:
            return Thumbnail(missing="gone: another file is there now")
        return Thumbnail(_data_uri(_side_by_side(decoded)))

    async def _fetch(self, reference: ImageReferenceV1) -> FetchedImage:
        fetched = await self._fetcher.fetch(reference)
        self._bytes_left -= len(fetched.data)
        return fetched


def _side_by_side(image: DecodedImage) -> RgbPixels:
    """Return all frames that were judged; any of them may be what the decision rests on."""
    return np.hstack(image.frames)


def _data_uri(pixels: RgbPixels) -> str:
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, "WEBP", quality=_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
