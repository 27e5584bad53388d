"""The stream and the API in one engine: each keeps its share while both have more than the engine can take."""

import asyncio
from collections import Counter

import numpy as np
import pytest

from schemas.image_uploaded import ImageByUrlV1, ImageReferenceV1, ImageUploadedV1
from service.core.fair_queue import Side
from service.core.pixels import ImageSpec
from service.core.records import SourceRecord
from service.delivery.handler import Job, Reading
from service.inference.rehearsal_engine import RehearsalEngine
from service.media.image_memory import Reservation
from service.media.types import DecodedImage, FetchedImage
from service.moderation.engine_client import EngineClient
from service.moderation.moderate import Moderator
from service.policy.loader import load_policies
from service.settings.delivery import TopicSettings
from service.settings.engine import RehearsalSettings
from service.settings.settings import PolicySettings
from service.telemetry.record_trace import RecordTrace
from testing.resources import NotedResources


class OneGreyImage:
    """Fetcher and decoder in one: every image is the same grey."""

    async def fetch(self, reference: ImageReferenceV1, memory: Reservation) -> FetchedImage:
        return FetchedImage(b"grey")

    async def decode(self, fetched: FetchedImage, spec: ImageSpec, memory: Reservation) -> DecodedImage:
        pixels = np.full((32, 32, 3), 128, np.uint8)
        return DecodedImage("0" * 64, 32, 32, 4, "image/png", 1, (pixels,))


def job(tenant: str) -> Job:
    event = ImageUploadedV1(image_id="1", tenant=tenant, image=ImageByUrlV1(url="https://host/1.png"))
    record = SourceRecord("images.uploaded", 0, 0, 0, None, b"", ())
    return Job(record, 1, 0.0, NotedResources(), RecordTrace.untraced(), Reading(tenant, event=event))


async def judged(waiting: dict[Side, list[str]], *, api_share: float, until: int) -> Counter[Side]:
    """Judge an image for each named tenant of each side; return whose the first so many were."""
    engine = RehearsalEngine(RehearsalSettings(batch_size=8, batch_s=0.001))
    await engine.start()
    album = OneGreyImage()
    moderator = Moderator(
        fetcher=album,
        decoder=album,
        engine_client=EngineClient(engine, timeout_s=60),
        policies=load_policies(PolicySettings()),
        topics=TopicSettings(),
        api_share=api_share,
    )
    order: list[Side] = []

    async def judge(side: Side, tenant: str) -> None:
        await moderator.judge(job(tenant), side=side)
        order.append(side)

    async with asyncio.TaskGroup() as group:
        for side, tenants in waiting.items():
            for tenant in tenants:
                group.create_task(judge(side, tenant))
    await engine.stop()
    return Counter(order[:until])


@pytest.mark.parametrize("api_share", [0.1, 0.25, 0.5])
async def test_a_flood_of_requests_leaves_the_stream_its_share(api_share: float) -> None:
    flood = [f"tenant {number}" for number in range(1000)]  # each with a key of its own

    first = await judged({"api": flood, "stream": ["shop"] * 400}, api_share=api_share, until=300)

    assert first["stream"] / 300 == pytest.approx(1 - api_share, abs=0.06)


async def test_a_backlog_of_the_stream_leaves_requests_their_share() -> None:
    backlog = [f"tenant {number}" for number in range(1000)]

    first = await judged({"stream": backlog, "api": ["shop"] * 200}, api_share=0.25, until=300)

    assert first["api"] / 300 == pytest.approx(0.25, abs=0.06)


async def test_requests_have_the_whole_engine_while_the_stream_is_idle() -> None:
    assert await judged({"api": ["shop"] * 100}, api_share=0.1, until=100) == {"api": 100}
