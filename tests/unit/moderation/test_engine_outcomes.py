"""What follows when a vision-language model answers badly, late or not at all: the table of docs/operate.md."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from schemas.image_uploaded import ImageReferenceV1
from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.core.errors import EngineDeadError, ModstreamError
from service.core.instructions import ModelInstructions
from service.core.pixels import ImageSpec
from service.core.records import SourceRecord
from service.delivery.attempts import Attempts
from service.delivery.resolution import Resolution
from service.inference.errors import EngineFailedError, EngineRejectedError, EngineTimeoutError
from service.inference.vision.engine import VisionEngine
from service.inference.vision.token_model import ModelRequest
from service.media.image_memory import Reservation
from service.media.types import DecodedImage, FetchedImage
from service.moderation.engine_client import EngineClient
from service.moderation.moderate import Moderator
from service.policy.loader import Policies, PolicySet, load_policies
from service.policy.policy import Policy
from service.settings.delivery import RetrySettings
from service.settings.engine import JudgingSettings
from service.settings.settings import PolicySettings, Settings
from testing.asking import GOODS
from testing.resources import NotedRecord
from testing.token_model import ScriptedModel, fill_in

SETTINGS = Settings(retry=RetrySettings(max_attempts=3))


class Gallery:
    """Fetcher and decoder in one: every image is the same."""

    async def fetch(self, _reference: ImageReferenceV1, memory: Reservation) -> FetchedImage:
        return FetchedImage(b"file")

    async def decode(self, _fetched: FetchedImage, _spec: ImageSpec, memory: Reservation) -> DecodedImage:
        return DecodedImage("0" * 64, 32, 32, 4, "image/png", 1, (np.zeros((32, 32, 3), np.uint8),))


async def nothing(_delay_s: float) -> None:
    """Stands for the pause between attempts."""


class TaggedPolicy(Policy):
    """The bundled policy, and tags."""

    @cached_property
    def instructions(self) -> ModelInstructions:
        return replace(super().instructions, attributes=GOODS)


async def resolve(
    model: ScriptedModel, *, timeout_s: float = 5.0, tasks: Sequence[str] = ("moderation",)
) -> Resolution:
    """Send one image through all its attempts."""
    policy = TaggedPolicy.model_validate(load_policies(PolicySettings()).default.model_dump())
    policies = Policies(PolicySet({policy.name: policy}, policy, {}))
    engine = VisionEngine(model, JudgingSettings(), kind="scripted")
    await engine.start()
    await engine.prepare(policies.default.instructions)
    moderator = Moderator(
        fetcher=Gallery(),
        decoder=Gallery(),
        engine_client=EngineClient(engine, timeout_s=timeout_s),
        policies=policies,
        topics=SETTINGS.topics,
    )
    event = {"image_id": "42", "image": {"url": "https://example.com/a.png"}, "tasks": list(tasks)}
    record = SourceRecord("images.uploaded", 0, 7, 0, b"key", json.dumps(event).encode(), ())
    attempts = Attempts(SETTINGS, moderator, sleep=nothing)
    return await attempts.resolve(NotedRecord(record, received_at_s=time.perf_counter()))


def harmless(_ask: ModelRequest, _words: Sequence[str]) -> Mapping[str, float]:
    return {"A": 0.99}


def explicit(ask: ModelRequest, words: Sequence[str]) -> Mapping[str, float]:
    if "A" in words:
        return {"A": 0.04, "C": 0.95}
    return {"yes": 0.97, "no": 0.03} if "sexual_explicit" in ask.prompt.question else {"yes": 0.01, "no": 0.99}


class Failing:
    """A script that fails so many times before it goes on."""

    def __init__(self, error: ModstreamError, *, times: int) -> None:
        self._error = error
        self._left = times

    def reads(self, ask: ModelRequest, words: Sequence[str]) -> Mapping[str, float]:
        self._fail()
        return harmless(ask, words)

    def writes(self, ask: ModelRequest, json_schema: Mapping[str, Any]) -> str:
        self._fail()
        return fill_in(ask, json_schema)

    def _fail(self) -> None:
        self._left -= 1
        if self._left >= 0:
            raise self._error


FAILED = EngineFailedError(detail="finish_reason error")
REFUSED = EngineRejectedError(detail="too long")


def verdict_of(resolution: Resolution) -> VerdictV1:
    return VerdictV1.model_validate_json(resolution.outcomes[0].value or b"")


def tags_of(resolution: Resolution) -> TagsV1:
    return TagsV1.model_validate_json(resolution.outcomes[-1].value or b"")


async def test_an_answer_off_the_labels_is_a_verdict_without_judgement() -> None:
    verdict = verdict_of(await resolve(ScriptedModel(reads=lambda _ask, _words: {"A": 0.3, "C": 0.1})))
    assert (verdict.status, verdict.decision, verdict.attempt) == ("not_moderated", "review", 1)
    assert [reason.code for reason in verdict.reasons] == ["answer_off_form"]
    assert verdict.scores == {}
    assert verdict.label_mass == pytest.approx(0.4)


async def test_a_request_that_the_engine_failed_on_is_tried_again() -> None:
    verdict = verdict_of(await resolve(ScriptedModel(reads=Failing(FAILED, times=2).reads)))
    assert (verdict.status, verdict.decision, verdict.attempt) == ("moderated", "allow", 3)


async def test_a_request_that_the_engine_always_fails_on_becomes_a_dead_letter() -> None:
    model = ScriptedModel(reads=Failing(FAILED, times=99).reads)
    assert (await resolve(model)).reason == "engine.failed"
    assert len(model.asks) == 3


async def test_probabilities_that_are_no_numbers_are_tried_again_and_never_a_score() -> None:
    model = ScriptedModel(reads=lambda _ask, _words: {"A": float("nan")})
    assert (await resolve(model)).reason == "engine.failed"
    assert len(model.asks) == 3


async def test_what_is_not_answered_in_time_is_tried_again_and_then_becomes_a_dead_letter() -> None:
    model = ScriptedModel(reads=harmless, hold=asyncio.Event())
    assert (await resolve(model, timeout_s=0.2)).reason == "engine.timeout"
    assert (len(model.asks), model.in_flight) == (3, 0)


async def test_a_request_that_the_engine_refuses_becomes_a_dead_letter_at_once() -> None:
    model = ScriptedModel(reads=Failing(REFUSED, times=99).reads)
    assert (await resolve(model)).reason == "engine.rejected"
    assert len(model.asks) == 1


@pytest.mark.parametrize("question", ["which", "is_it", "describe", "why"])
async def test_the_engines_death_ends_the_process_with_the_record_uncommitted(question: str) -> None:
    """What a fatal error does to the process is tested in test_processor.py."""

    def dies(ask: ModelRequest, words: Sequence[str]) -> Mapping[str, float]:
        if question in ask.request_id:
            raise EngineDeadError(detail="killed")
        return explicit(ask, words)

    def dies_writing(ask: ModelRequest, json_schema: Mapping[str, Any]) -> str:
        if question in ask.request_id:
            raise EngineDeadError(detail="killed")
        return fill_in(ask, json_schema)

    with pytest.raises(EngineDeadError):
        await resolve(ScriptedModel(reads=dies, writes=dies_writing), tasks=["moderation", "tags"])


@pytest.mark.parametrize("text", ["", '{"k":"toy","c":["re', '{"k":"car","c":[],"s":""}'])
async def test_tags_that_are_partly_invalid_go_out_and_say_so(text: str) -> None:
    model = ScriptedModel(reads=harmless, writes=lambda _ask, _schema: text)
    resolution = await resolve(model, tasks=["moderation", "tags"])
    assert verdict_of(resolution).decision == "allow"
    assert not tags_of(resolution).complete
    assert tags_of(resolution).attribute_schema == "goods/1"


async def test_tags_that_the_engine_refuses_to_write_do_not_affect_the_verdict() -> None:
    model = ScriptedModel(reads=harmless, writes=Failing(REFUSED, times=99).writes)
    resolution = await resolve(model, tasks=["moderation", "tags"])
    assert verdict_of(resolution).decision == "allow"
    assert (tags_of(resolution).attributes, tags_of(resolution).complete) == ({}, False)


async def test_tags_alone_that_the_engine_refuses_to_write_become_a_dead_letter() -> None:
    model = ScriptedModel(writes=Failing(REFUSED, times=99).writes)
    assert (await resolve(model, tasks=["tags"])).reason == "engine.rejected"


async def test_tags_that_the_engine_fails_on_are_tried_again_with_the_verdict() -> None:
    model = ScriptedModel(reads=harmless, writes=Failing(FAILED, times=1).writes)
    resolution = await resolve(model, tasks=["moderation", "tags"])
    assert (verdict_of(resolution).attempt, tags_of(resolution).attempt) == (2, 2)
    assert tags_of(resolution).complete


async def test_a_verdict_carries_the_models_words() -> None:
    model = ScriptedModel(reads=explicit, writes=lambda _ask, _schema: '{"sexual_explicit":"a test"}')
    verdict = verdict_of(await resolve(model))
    assert (verdict.decision, verdict.deciding_category) == ("block", "sexual_explicit")
    assert [reason.explanation for reason in verdict.reasons] == ["a test"]


@pytest.mark.parametrize("error", [FAILED, REFUSED])
async def test_a_verdict_that_cannot_be_explained_goes_out_without_words(error: ModstreamError) -> None:
    model = ScriptedModel(reads=explicit, writes=Failing(error, times=99).writes)
    verdict = verdict_of(await resolve(model))
    assert (verdict.decision, verdict.attempt) == ("block", 1)
    assert [reason.explanation for reason in verdict.reasons] == [None]


async def test_a_verdict_whose_explanation_takes_too_long_goes_out_without_words_and_the_log_says_why() -> None:
    model = ScriptedModel(reads=explicit, hold=asyncio.Event(), holds=lambda ask: ask.request_id.endswith("why"))
    with capture_logs() as lines:
        verdict = verdict_of(await resolve(model, timeout_s=1.0))
    assert (verdict.decision, verdict.attempt, model.in_flight) == ("block", 1, 0)
    assert [type(line["error"]) for line in lines if line["event"] == "explanation.failed"] == [EngineTimeoutError]


async def test_a_follow_up_off_form_leaves_the_answer_to_the_list() -> None:
    def reads(_ask: ModelRequest, words: Sequence[str]) -> Mapping[str, float]:
        return {"A": 0.5, "C": 0.5} if "A" in words else {"yes": 0.01}

    verdict = verdict_of(await resolve(ScriptedModel(reads=reads)))
    assert verdict.scores["sexual_explicit"] == pytest.approx(0.5)
    assert (verdict.status, verdict.decision) == ("moderated", "review")
