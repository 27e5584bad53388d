"""An audit by the tiny Qwen3-VL in the real vLLM finds what the live pass allowed."""

import asyncio
import time
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pytest

from schemas.audit import AuditV1
from schemas.image_uploaded import ImageReferenceV1
from service.core.pixels import ImageSpec
from service.core.records import SourceRecord
from service.delivery.handler import Job
from service.media.image_memory import Reservation
from service.media.types import DecodedImage, FetchedImage
from service.moderation.audits import AuditOptions, Audits
from service.moderation.engine_client import EngineClient
from service.moderation.moderate import Moderator
from service.moderation.shadow import Shadows
from service.policy.loader import load_policies
from service.settings.delivery import TopicSettings
from service.settings.settings import PolicySettings
from service.telemetry.record_trace import RecordTrace
from testing.resources import NotedResources
from testing.tiny_model.scenes import Scene, draw, place_items
from testing.tiny_model.shapes import HARMFUL
from testing.tiny_model.tiny import policy_file
from testing.waiting import wait_until
from tests.unit.moderation.shadow_parts import Kept

if TYPE_CHECKING:
    from testing.tiny_api import TinyApi

SIZE = (192, 192)


class Scenes:
    """Fetcher and decoder of drawn images, by the number that is their URL."""

    async def fetch(self, reference: ImageReferenceV1, memory: Reservation) -> FetchedImage:
        """Return the number as the file."""
        return FetchedImage(reference.url.encode())  # type: ignore[union-attr]  # all are by URL here

    async def decode(self, fetched: FetchedImage, spec: ImageSpec, memory: Reservation) -> DecodedImage:
        """Draw a blue circle, which is alcohol and only a label, beside a yellow square, which is gambling."""
        seed = int(fetched.data)
        kinds = [HARMFUL["alcohol"], HARMFUL["gambling"]]
        items = place_items(np.random.default_rng(seed), kinds, SIZE)
        pixels = draw(Scene(*SIZE, "light", items, seed))
        return DecodedImage(f"{seed:064x}", *SIZE, 1_000, "image/png", 1, (pixels,))


@pytest.mark.asyncio(loop_scope="session")
async def test_a_category_that_the_list_hides_behind_another_is_found_by_its_own_question(
    tiny_api: "TinyApi", monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, policies = tiny_api.engine, load_policies(PolicySettings(path=policy_file(), default="shapes"))
    # The list is exclusive: of two categories in an image, one takes nearly all. Live, only that one is asked about.
    monkeypatch.setattr(engine, "_settings", engine._settings.model_copy(update={"noticeable_share": 0.5}))
    await engine.prepare(policies.default.instructions)
    kept, options = Kept(), AuditOptions(share=1.0, max_bytes=10_000_000, timeout_s=120.0, key="secret")
    audits = Audits(engine, options, publisher=kept, topic="audits")
    scenes = Scenes()
    moderator = Moderator(
        fetcher=scenes,
        decoder=scenes,
        engine_client=EngineClient(engine, timeout_s=120.0),
        policies=policies,
        topics=TopicSettings(),
        shadows=Shadows([audits]),
    )
    running, allowed = asyncio.create_task(audits.run()), 0
    for seed in range(8):
        event = orjson.dumps({"image_id": str(seed), "image": {"url": str(seed)}})
        record = SourceRecord("images.uploaded", 0, seed, 0, None, event, ())
        job = Job(record, 1, time.perf_counter(), NotedResources(), RecordTrace.untraced())
        verdict, _ = await moderator.judge(job)
        allowed += verdict is not None and verdict.decision == "allow"
    await wait_until(lambda: len(kept.records) == allowed, description="all allowed images are audited", timeout_s=100)
    audits.drain()
    await asyncio.wait([running])
    engine.forget(policies.default.instructions)
    found = [AuditV1.model_validate_json(record.value or b"") for record in kept.records]
    assert found, "the list hides gambling in some images"
    for each in found:
        assert each.verdict is not None
        assert (each.live.decision, each.verdict.deciding_category) == ("allow", "gambling")
        assert set(each.verdict.asked) == set(HARMFUL)
