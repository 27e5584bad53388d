"""What a first pass makes of verdicts: which images it may decide about, and what the verdict then names."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from schemas.image_uploaded import ImageReferenceV1
from schemas.verdict import VerdictV1
from service.core.pixels import ImageSpec
from service.core.records import SourceRecord
from service.delivery.handler import Job
from service.inference.engine import EngineOutput, FirstPassOutput
from service.inference.vision.token_model import ModelRequest
from service.media.image_memory import Reservation
from service.media.types import DecodedImage, FetchedImage
from service.moderation.engine_client import EngineClient
from service.moderation.engine_view import PolicyEngine
from service.moderation.moderate import Moderator
from service.moderation.shadow import Judgement, Shadows
from service.policy.calibration import EngineCalibration
from service.policy.loader import Policies, PolicySet
from service.policy.policy import Policy
from service.settings.delivery import TopicSettings
from service.telemetry.record_trace import RecordTrace
from testing.asking import INSTRUCTIONS
from testing.engine import PaintedEngine
from testing.first_pass import SmallerModel, passes
from testing.metrics import counting, scraped
from testing.resources import NotedResources
from testing.token_model import ScriptedModel

RULES = {"child_safety": {"review": 0.3}, "weapons": {"review": 0.4}}
OUTCOMES = ("cleared", "passed_on", "skipped")
CLEAR_BELOW = {"default": 0.2, "child_safety": 0.1}


class Gallery:
    """Fetcher and decoder in one: every image has the same views, each of one shade."""

    def __init__(self, *shades: int, ambiguous: frozenset[str] = frozenset()) -> None:
        self._shades = shades
        self._ambiguous = ambiguous

    async def fetch(self, _reference: ImageReferenceV1, memory: Reservation) -> FetchedImage:
        return FetchedImage(b"file")

    async def decode(self, _fetched: FetchedImage, _spec: ImageSpec, memory: Reservation) -> DecodedImage:
        frames = tuple(np.full((512, 512, 3), shade, np.uint8) for shade in self._shades)
        return DecodedImage("0" * 64, 512, 512, 4, "image/png", len(frames), frames, ambiguous=self._ambiguous)


def by_shade(ask: ModelRequest, words: Sequence[str]) -> Mapping[str, float]:
    """See weapons as surely as the picture is bright."""
    seen = float(ask.pixels.mean()) / 255
    return {"A": 1 - seen, "C": seen} if "A" in words else {"yes": seen, "no": 1 - seen}


class Seen:
    """A shadow that keeps what it is shown."""

    def __init__(self) -> None:
        self.judgements: list[Judgement] = []

    def offer(self, judgement: Judgement) -> None:
        self.judgements.append(judgement)

    def warnings(self) -> list[str]:
        return []


async def verdict(
    gallery: Gallery, model: ScriptedModel | None = None, *, shadow: Seen | None = None, **first_pass: Any
) -> VerdictV1:
    """Return the verdict on the gallery's image, by a policy with a first pass."""
    rule = {"clear_below": CLEAR_BELOW, **first_pass}
    content = {"name": "quick", "version": "1", "attributes": None, "categories": RULES, "first_pass": rule}
    policy = Policy.model_validate(content)
    engine = passes(model or ScriptedModel(reads=by_shade), SmallerModel(ScriptedModel(reads=by_shade)).engine())
    await engine.start()
    try:
        await engine.prepare(policy.instructions)
        moderator = Moderator(
            fetcher=gallery,
            decoder=gallery,
            engine_client=EngineClient(engine, timeout_s=5),
            policies=Policies(PolicySet({policy.name: policy}, policy, {})),
            topics=TopicSettings(),
            shadows=Shadows([shadow] if shadow else []),
        )
        event = {"image_id": "42", "image": {"url": "https://example.com/a.png"}, "tasks": ["moderation"]}
        record = SourceRecord("images.uploaded", 0, 7, 0, b"key", json.dumps(event).encode(), ())
        found = await moderator.judge(Job(record, 1, time.perf_counter(), NotedResources(), RecordTrace.untraced()))
    finally:
        await engine.stop()
    assert found.verdict is not None
    return found.verdict


async def test_a_cleared_image_is_allowed_and_its_verdict_names_the_first_pass() -> None:
    found = await verdict(Gallery(10))
    assert (found.status, found.decision, found.reasons) == ("moderated", "allow", ())
    assert found.first_pass is not None
    assert found.first_pass.decided
    assert found.scores == found.first_pass.scores == pytest.approx({"child_safety": 0.0, "weapons": 10 / 255})
    assert "/64x32x32/" in (found.preprocessing or "")
    assert found.preprocessing == found.first_pass.preprocessing
    assert found.first_pass.clear_below == {"child_safety": 0.1, "weapons": 0.2}


async def test_what_is_passed_on_has_the_scores_of_both_passes() -> None:
    found = await verdict(Gallery(200))
    assert found.decision == "review"
    assert "/256x32x32/" in (found.preprocessing or "")
    assert found.first_pass is not None
    assert not found.first_pass.decided
    assert "/64x32x32/" in (found.first_pass.preprocessing or "")
    assert found.asked == ("child_safety", "weapons")
    assert found.first_pass.scores["weapons"] == pytest.approx(200 / 255)


async def test_a_smaller_engine_is_named_where_it_decided() -> None:
    found = await verdict(Gallery(10), engine="smaller")
    assert (found.engine, found.first_pass and found.first_pass.engine) == ("smaller", "smaller")


async def test_an_image_with_one_view_that_is_not_clear_is_judged_in_full() -> None:
    model = ScriptedModel(reads=by_shade)
    found = await verdict(Gallery(10, 200, 20), model)
    assert found.decision == "review"
    assert found.first_pass is not None
    assert not found.first_pass.decided
    assert [frame.scores["weapons"] for frame in found.frames] == pytest.approx([10 / 255, 200 / 255, 20 / 255])
    assert sum("/first/" not in ask.image_key and ask.request_id.endswith("which") for ask in model.asks) == 3


async def test_an_image_that_viewers_may_show_otherwise_gets_the_full_pass() -> None:
    found = await verdict(Gallery(10, ambiguous=frozenset({"truncated"})))
    assert found.first_pass is None
    assert "/256x32x32/" in (found.preprocessing or "")


async def test_shadows_are_shown_a_cleared_image_in_its_full_size() -> None:
    shadow = Seen()
    await verdict(Gallery(10), shadow=shadow)
    (judgement,) = shadow.judgements
    assert judgement.image_spec.max_pixels == 512 * 512
    assert judgement.verdict.first_pass is not None


def test_a_calibration_of_the_full_pass_is_not_applied_to_scores_of_the_first() -> None:
    calibration = EngineCalibration("shop/1", {}, {})
    full, first = PaintedEngine().describe(INSTRUCTIONS), replace(PaintedEngine().describe(INSTRUCTIONS), kind="first")
    engine = PolicyEngine(INSTRUCTIONS, None, full, calibration)
    found = FirstPassOutput("cleared", {"weapons": 0.0}, by=first)
    cleared = EngineOutput({"weapons": 0.0}, first_pass=found)
    passed_on = EngineOutput({"weapons": 0.0}, first_pass=replace(found, outcome="passed_on"))
    assert engine.of([cleared, cleared]) == replace(engine, description=first, calibration=None)
    assert engine.of([cleared, passed_on]) == engine.of([passed_on]) == engine.of([EngineOutput(None)]) == engine


async def test_images_are_counted_by_what_became_of_their_first_pass() -> None:
    with counting() as metrics:
        await verdict(Gallery(10, 20))
        await verdict(Gallery(10, 200))
        await verdict(Gallery(10, ambiguous=frozenset({"truncated"})))
        scrape = scraped(metrics)
    found = {name: scrape.value("modstream_first_pass_images_total", outcome=name) for name in OUTCOMES}
    assert found == {"cleared": 1, "passed_on": 1, "skipped": 1}


async def test_with_limits_of_zero_every_image_is_judged_by_both_passes() -> None:
    found = await verdict(Gallery(0), clear_below={"default": 0, "child_safety": 0})
    assert found.first_pass is not None
    assert not found.first_pass.decided
