"""Fetches and decodes images as the service does, without an engine."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from service.delivery.window import images_bytes
from service.media.decode_pool import ImageDecoder
from service.media.decode_queue import DecodeQueue
from service.media.fetch.fetcher import ImageFetcher
from service.media.image_memory import ImageMemory
from service.media.sandbox import hide_process
from service.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class Decoding:
    """What turns references into pixels. All of it is started."""

    fetcher: ImageFetcher
    decoder: DecodeQueue
    memory: ImageMemory


@asynccontextmanager
async def running_decoders(settings: Settings) -> AsyncIterator[Decoding]:
    """Start the decoders of the settings, and stop them; raises `FatalError` where no image can be decoded."""
    async with AsyncExitStack() as stack:
        fetcher = await stack.enter_async_context(ImageFetcher(settings.media.fetch))
        hide_process()
        decoder = ImageDecoder(settings.media.decode)
        stack.push_async_callback(decoder.close)
        await decoder.start()
        yield Decoding(fetcher, DecodeQueue(decoder), ImageMemory(images_bytes(settings.window)))
