"""One event to its outcomes, on working stand-ins for the world around it."""

import asyncio
from collections.abc import Mapping, Sequence

import orjson
import pytest

from schemas.registry import IMAGE_UPLOADED_V1
from schemas.tags import TagsV1
from service.core.availability import EngineAvailability
from service.core.errors import RejectedError
from service.core.instructions import ModelInstructions
from service.core.records import SourceRecord
from service.delivery.handler import UNREAD, Job
from service.inference.engine import EngineDescription, EngineOutput, EngineRequest
from service.inference.errors import EngineTimeoutError
from service.media.errors import ImageNotFoundError
from service.media.image_memory import ImageMemory
from service.moderation.reading import read_upload
from service.policy.loader import load_policies
from service.settings.settings import PolicySettings
from service.telemetry.record_trace import RecordTrace
from testing.engine import PaintedEngine
from testing.resources import NotedResources
from testing.waiting import wait_until
from tests.unit.moderation.album import ARMED, SAFE, VIOLENT, Album, job, moderator, verdict_of


async def test_a_verdict_names_the_event_the_record_and_all_that_produced_it() -> None:
    event = {"image": {"url": "safe"}, "tenant": "shop", "context": {"listing": "7"}}
    records = await moderator(Album(safe=[SAFE]))(job(event, attempt=2))
    verdict = verdict_of(records)
    assert records[0].key == b"key"
    assert (verdict.image_id, verdict.tenant, verdict.context) == ("42", "shop", {"listing": "7"})
    assert (verdict.source.topic, verdict.source.partition, verdict.source.offset) == ("images.uploaded", 3, 17)
    assert (verdict.status, verdict.decision, verdict.attempt) == ("moderated", "allow", 2)
    assert (verdict.policy.name, verdict.model.name, verdict.engine) == ("default", "painted", "painted")
    assert set(verdict.scores) == set(PaintedEngine.CATEGORIES)
    assert "child_safety" in verdict.not_covered
    assert {"fetch", "decode", "engine", "decide", "total"} <= set(verdict.timings_ms)


async def test_outcomes_carry_the_uploaders_id_in_either_mode_of_a_cloudevent() -> None:
    data = {"image_id": "42", "image": {"url": "safe"}, "tasks": ["moderation", "tags"]}
    attributes = {"specversion": "1.0", "type": IMAGE_UPLOADED_V1.event_type, "source": "/shop", "id": "u-7"}
    binary = tuple((f"ce_{name}", value.encode()) for name, value in attributes.items())
    structured = (("content-type", b"application/cloudevents+json"),)
    for value, headers in ((data, binary), ({**attributes, "data": data}, structured)):
        record = SourceRecord("images.uploaded", 3, 17, 0, b"key", orjson.dumps(value), headers)
        for reading in (UNREAD, read_upload(record)):
            wanted = Job(record, 1, 0.0, NotedResources(), RecordTrace.untraced(), reading)
            outcomes = await moderator(Album(safe=[SAFE]))(wanted)
            sources = [orjson.loads(outcome.value or b"")["source"] for outcome in outcomes]
            assert [(source["event_id"], source["event_source"]) for source in sources] == [("u-7", "/shop")] * 2


async def test_outcomes_of_a_bare_event_carry_no_id() -> None:
    source = verdict_of(await moderator(Album(safe=[SAFE]))(job({"image": {"url": "safe"}}))).source
    assert (source.event_id, source.event_source) == (None, None)


@pytest.mark.parametrize("explains", [True, False])
async def test_only_an_engine_that_has_words_has_a_stage_for_them(explains: bool) -> None:
    engine = PaintedEngine(explains=explains)
    verdict = verdict_of(await moderator(Album(film=[VIOLENT]), engine=engine)(job({"image": {"url": "film"}})))
    assert ("explain" in verdict.timings_ms) == explains
    assert verdict.decision == "block"


async def test_an_engine_is_described_once_for_a_policy_and_not_for_every_record() -> None:
    class Described(PaintedEngine):
        described = 0

        def describe(self, instructions: ModelInstructions) -> EngineDescription:
            self.described += 1
            return super().describe(instructions)

    engine = Described()
    moderating = moderator(Album(film=[VIOLENT]), engine=engine)
    event = {"image": {"url": "film"}, "tasks": ["moderation", "tags"]}
    await moderating(job(event))
    described = engine.described
    await moderating(job(event))
    assert engine.described == described


async def test_the_worst_frame_of_an_animated_image_counts() -> None:
    verdict = verdict_of(await moderator(Album(film=[SAFE, VIOLENT, SAFE]))(job({"image": {"url": "film"}})))
    assert (verdict.decision, verdict.deciding_category) == ("block", "violence")
    assert (verdict.image.frames, verdict.image.frames_judged) == (4, 3)
    assert verdict.scores == {
        name: max(frame.scores[name] for frame in verdict.frames) for name in verdict.frames[0].scores
    }
    assert len(verdict.frames) == 3


async def test_words_for_what_was_found_are_asked_for_before_fresh_images_are_judged() -> None:
    class Explaining(PaintedEngine):
        async def explain(self, request: EngineRequest, categories: Sequence[str]) -> Mapping[str, str]:
            self.requests.append(request)
            return await super().explain(request, categories)

    engine = Explaining()
    verdict = verdict_of(await moderator(Album(film=[VIOLENT]), engine=engine)(job({"image": {"url": "film"}})))
    assert [reason.explanation for reason in verdict.reasons] == ["painted violence"]
    judged, explained = engine.requests
    assert explained.deadline_s < judged.deadline_s


async def test_a_hint_sends_to_review_and_never_blocks() -> None:
    verdict = verdict_of(await moderator(Album(armed=[ARMED]))(job({"image": {"url": "armed"}})))
    assert (verdict.decision, verdict.deciding_category) == ("review", "weapons")


async def test_tags_come_beside_the_verdict_when_wanted() -> None:
    event = {"image": {"url": "film"}, "tasks": ["moderation", "tags"]}
    records = await moderator(Album(film=[SAFE, VIOLENT]))(job(event))
    assert [record.topic for record in records] == ["images.verdicts", "images.tags"]
    tags = TagsV1.model_validate_json(records[1].value or b"")
    assert [(tag.value, tag.confidence) for tag in tags.attributes["objects"]] == [("paint", 1.0)]


async def test_tags_alone_make_no_verdict() -> None:
    records = await moderator(Album(safe=[SAFE]))(job({"image": {"url": "safe"}, "tasks": ["tags"]}))
    assert [record.topic for record in records] == ["images.tags"]


async def test_a_record_needs_no_slot_while_its_image_is_fetched_and_one_from_then_on() -> None:
    fetched = job({"image": {"url": "safe"}})
    await moderator(Album(safe=[SAFE]))(fetched)
    assert isinstance(fetched.resources, NotedResources)
    assert fetched.resources.steps == ["release", "acquire"]


async def test_the_memory_of_an_image_is_free_again_however_its_record_ends() -> None:
    memory = ImageMemory(1000)
    moderating = moderator(Album(safe=[SAFE]), memory=memory)
    await moderating(job({"image": {"url": "safe"}}))
    with pytest.raises(ImageNotFoundError):
        await moderating(job({"image": {"url": "missing"}}))
    assert memory.held_bytes == 0


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (b"no event", "event.not_json"),
        ({"image": {"url": "lost"}}, "image.not_found"),
        ({"image": {"url": "safe"}, "policy": "unknown"}, "policy.unknown"),
    ],
)
async def test_what_cannot_be_judged_says_why(event: Mapping[str, object] | bytes, reason: str) -> None:
    with pytest.raises(RejectedError) as failure:
        await moderator(Album(safe=[SAFE]))(job(event))
    assert failure.value.reason == reason


async def test_an_engine_that_does_not_answer_ends_in_a_transient_error() -> None:
    engine = PaintedEngine(hold=asyncio.Event())
    with pytest.raises(EngineTimeoutError):
        await moderator(Album(safe=[SAFE]), engine=engine, engine_timeout_s=0.05)(job({"image": {"url": "safe"}}))
    assert len(engine.requests) == 1


async def test_cancelling_a_job_cancels_its_engine_requests() -> None:
    engine = PaintedEngine(hold=asyncio.Event())
    task = asyncio.create_task(moderator(Album(safe=[SAFE, SAFE]), engine=engine)(job({"image": {"url": "safe"}})))
    await wait_until(lambda: len(engine.requests) == 2, description="both frames are in the engine")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_time_of_a_judgement_stands_still_while_no_engine_answers() -> None:
    hold, availability = asyncio.Event(), EngineAvailability()
    judge = moderator(
        Album(safe=[SAFE]), engine=PaintedEngine(hold=hold), engine_timeout_s=0.05, availability=availability
    )
    availability.lose("a test wants it")
    judging = asyncio.create_task(judge(job({"image": {"url": "safe"}})))
    await asyncio.sleep(0.2)
    assert not judging.done()
    hold.set()
    assert verdict_of(await judging).decision == "allow"


async def test_a_burst_of_one_tenant_delays_another_before_the_engine_by_one_image() -> None:
    class Busy(PaintedEngine):
        """Answers when the test lets it."""

        def __init__(self) -> None:
            super().__init__()
            self.gates: list[asyncio.Event] = []

        async def judge(self, request: EngineRequest) -> EngineOutput:
            self.gates.append(asyncio.Event())
            await self.gates[-1].wait()
            return await super().judge(request)

    engine, album = Busy(), Album(safe=[SAFE])
    moderating = moderator(album, engine=engine)
    at_once = 2 * engine.describe(load_policies(PolicySettings()).default.instructions).concurrency
    done: list[str] = []

    async def handle(tenant: str) -> None:
        await moderating(job({"image": {"url": "safe"}, "tenant": tenant}))
        done.append(tenant)

    async with asyncio.TaskGroup() as group:
        for tenant in (*["shop"] * (at_once + 50), "club"):
            group.create_task(handle(tenant), name=tenant)
        await wait_until(lambda: album.decoded == at_once + 51, description="all are handed over, or wait for it")
        await wait_until(lambda: len(engine.gates) == at_once, description="the engine has enough")
        for gate in engine.gates[:2]:
            gate.set()
        await wait_until(lambda: len(engine.gates) == at_once + 2, description="two more are handed over")
        engine.gates[-1].set()
        await wait_until(lambda: len(done) == 3, description="the last one handed over is done")
        assert done[-1] == "club"
        while len(done) < at_once + 51:
            for gate in engine.gates:
                gate.set()
            await asyncio.sleep(0)
