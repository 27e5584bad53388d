"""A tenant whose images never arrive, beside one whose images do: with real servers, on a stream in memory."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import orjson
import pytest

from service.core.pixels import ImageSpec
from service.delivery.processor import Processor
from service.media.fetch.fetcher import ImageFetcher
from service.media.image_memory import ImageMemory, Reservation
from service.media.types import DecodedImage, FetchedImage
from service.moderation.engine_client import EngineClient
from service.moderation.moderate import Moderator
from service.moderation.reading import read_upload
from service.policy.loader import load_policies
from service.settings.delivery import TopicSettings
from service.settings.media import FetchSettings, MediaSettings
from service.settings.settings import PolicySettings, Settings
from testing.engine import PaintedEngine
from testing.http_server import Handler, body, endless, raw, serving
from testing.memory_stream import MemoryStream, record
from testing.waiting import wait_until

SETTINGS = Settings(media=MediaSettings(fetch=FetchSettings(allow_networks=("127.0.0.0/8",))))
IMAGE = b"an image"
BAD = 640
# Far less than any of the bad images takes to fail, and far more than a good one takes on a busy machine.
SOON_S = 4.0


class Painter:
    """A decoder that needs no picture."""

    async def decode(self, fetched: FetchedImage, spec: ImageSpec, memory: Reservation) -> DecodedImage:
        """Paint one black frame."""
        del spec, memory
        frames = (np.zeros((8, 8, 3), dtype=np.uint8),)
        return DecodedImage("0" * 64, 8, 8, len(fetched.data), "image/png", 1, frames)


def event(tenant: str, image: dict[str, str]) -> bytes:
    return orjson.dumps({"image_id": "42", "tenant": tenant, "image": image})


@asynccontextmanager
async def judging(stream: MemoryStream) -> AsyncIterator[None]:
    async with ImageFetcher(SETTINGS.media.fetch) as fetcher:
        moderator = Moderator(
            fetcher=fetcher,
            decoder=Painter(),
            engine_client=EngineClient(PaintedEngine(), timeout_s=5),
            policies=load_policies(PolicySettings()),
            topics=TopicSettings(),
            memory=ImageMemory(SETTINGS.window.max_bytes // 2),
        )
        processor = Processor(SETTINGS, moderator, read=read_upload, connect=stream.connect)
        run = asyncio.create_task(processor.run())
        yield
        run.cancel()
        await asyncio.wait([run])


@pytest.mark.parametrize(
    "handler", [raw(b"", then_close=False), endless(b"x" * 2048, pause_s=1.0)], ids=["silent", "dripping"]
)
async def test_images_that_never_arrive_delay_no_other_tenant(handler: Handler) -> None:
    async with serving(handler) as bad, serving(body(IMAGE)) as good:
        stream = MemoryStream([record(n, value=event("bad", {"url": f"{bad.url}/{n}.jpg"})) for n in range(BAD)])
        async with judging(stream):
            inline = {"inline": base64.b64encode(IMAGE).decode(), "media_type": "image/png"}
            stream.arrive(record(BAD, value=event("good", inline)))
            stream.arrive(record(BAD + 1, value=event("good", {"url": f"{good.url}/1.jpg"})))
            began_s = time.monotonic()
            await wait_until(
                lambda: {(0, BAD), (0, BAD + 1)} <= stream.committed.keys(), description="both are judged", timeout_s=10
            )
            assert time.monotonic() - began_s < SOON_S
            assert not any(offset < BAD for _, offset in stream.committed)
