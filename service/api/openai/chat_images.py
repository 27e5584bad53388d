"""The images of a chat: fetched and decoded as those of the stream are, before any model learns of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from service.api.openai.chat_reading import ChatImage
from service.api.openai.image_urls import reference_of
from service.core.errors import ModstreamError
from service.core.pixels import ImageSpec, RgbPixels
from service.media.image_memory import ImageMemory
from service.moderation.moderate import Decoder, Fetcher

_SMALL_PIXELS = 512 * 512
"""Of an image at low detail; OpenAI's models see as many."""

_AT_ONCE = 4
"""Images of one chat that are fetched at the same time."""


class ChatImageError(Exception):
    """An image of a chat cannot be used; the cause is the error of fetching or decoding."""

    def __init__(self, place: str, error: ModstreamError) -> None:
        super().__init__(place)
        self.place = place
        self.error = error


class ChatImages:
    """Fetches and decodes images."""

    def __init__(self, *, fetcher: Fetcher, decoder: Decoder, memory: ImageMemory) -> None:
        self._fetcher = fetcher
        self._decoder = decoder
        self._memory = memory

    async def pixels(self, images: Sequence[ChatImage], spec: ImageSpec, *, tenant: str) -> list[RgbPixels]:
        """Return the pixels of each image, of an animation's first frame; raises `ChatImageError` for the first fault.

        What an image takes while it is fetched and decoded is reserved, as for images of the stream. The pixels, a few
        megabytes, are the caller's: chats that each wait for the memory of a further image would wait for each other.
        """
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def of(image: ChatImage) -> RgbPixels:
            async with at_once:
                return await self._pixels(image, spec, tenant)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(of(image), name="chat.image") for image in images]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _pixels(self, image: ChatImage, spec: ImageSpec, tenant: str) -> RgbPixels:
        wanted = replace(spec, max_pixels=min(spec.max_pixels, _SMALL_PIXELS)) if image.is_small else spec
        try:
            with self._memory.reservation(tenant, "api") as memory:
                fetched = await self._fetcher.fetch(reference_of(image.url), memory)
                decoded = await self._decoder.decode(fetched, wanted, memory)
        except ModstreamError as error:
            raise ChatImageError(image.place, error) from error
        return decoded.frames[0]
