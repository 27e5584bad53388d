"""Audits: which images are chosen, what is asked, what they hold, and that each chosen image has a record."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from schemas.audit import AuditV1
from schemas.image_uploaded import ImageInlineV1
from service.core.instructions import ModelInstructions
from service.core.records import OutgoingRecord
from service.inference.engine import EngineOutput, EngineRequest
from service.inference.errors import EngineFailedError
from service.moderation import audits
from service.moderation.audits import MAX_IN_FLIGHT, MAX_WAITING, AuditOptions, Audits
from service.moderation.shadow import Judgement
from service.policy.policy import Policy
from testing.engine import PaintedEngine
from testing.metrics import Scrape, counting, scraped
from testing.waiting import wait_until
from tests.unit.moderation.shadow_parts import HARMLESS, Kept, judgement

ALL = AuditOptions(share=1.0, max_bytes=10_000_000, timeout_s=5.0, key="secret")
TOPIC = "audits"


def painted(*, violence: int = 0, offset: int = 17, side: int = 8) -> Judgement:
    """Return an allowed image in which the engine would now see violence, of 255."""
    allowed = judgement(offset=offset, side=side)
    allowed.subject.image.frames[0][0, 0, 1] = violence
    return allowed


class Audited:
    """Audits that run, and what they published."""

    def __init__(
        self,
        engine: PaintedEngine | None = None,
        options: AuditOptions = ALL,
        *,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self.engine = engine or PaintedEngine()
        self.kept = Kept()
        self.audits = Audits(self.engine, options, publisher=self.kept, topic=TOPIC, has_room=has_room)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.audits.run())
        await asyncio.sleep(0)
        yield
        self.audits.drain()
        await asyncio.wait([task], timeout=5.0)
        task.result()

    @property
    def found(self) -> list[AuditV1]:
        return [AuditV1.model_validate_json(record.value or b"") for record in self.kept.records]

    async def published(self, count: int) -> list[AuditV1]:
        await wait_until(lambda: len(self.kept.records) >= count, description=f"{count} records are published")
        return self.found


def left_out(scrape: Scrape) -> dict[str, float]:
    """Return how many images were left out, by reason."""
    return {reason: count for reason, count in scrape.by("reason", "modstream_audits_left_out_total").items() if count}


async def test_what_the_questions_find_in_an_allowed_image_is_published_beside_the_live_decision() -> None:
    audited, live = Audited(), painted(violence=250)
    with counting() as metrics:
        async with audited.running():
            audited.audits.offer(live)
            (found,) = await audited.published(1)
        scrape = scraped(metrics)
    assert (found.live.decision, found.left_out, found.share) == ("allow", None, 1.0)
    assert found.verdict is not None
    assert (found.verdict.decision, found.verdict.deciding_category) == ("block", "violence")
    assert (found.source, found.moderated_at) == (live.verdict.source, live.verdict.moderated_at)
    assert audited.kept.records[0].key == b"key"
    assert scrape.value("modstream_audits_total", policy="default", decision="block") == 1


async def test_an_audit_asks_for_every_category_after_all_live_images_and_for_no_tags() -> None:
    audited, live = Audited(), painted()
    event = live.subject.event.model_copy(update={"tasks": ("moderation", "tags")})
    async with audited.running():
        audited.audits.offer(replace(live, subject=replace(live.subject, event=event)))
        await audited.published(1)
    (request,) = audited.engine.requests
    assert (request.asks_all, request.wants_tags, request.deadline_s) == (True, False, float("inf"))
    assert request.losses is not live.subject.losses


async def test_an_audit_takes_no_first_pass_and_frees_what_it_prepared() -> None:
    class Preparing(PaintedEngine):
        def __init__(self) -> None:
            super().__init__()
            self.prepared: Counter[ModelInstructions] = Counter()

        async def prepare(self, instructions: ModelInstructions) -> None:
            self.prepared[instructions] += 1

        def forget(self, instructions: ModelInstructions) -> None:
            self.prepared[instructions] -= 1

    rules = {"child_safety": {"review": 0.3}, "violence": {"review": 0.5}}
    first = {"clear_below": {"default": 0.1, "child_safety": 0.05}}
    content = {"name": "cheap", "version": "1", "categories": rules, "first_pass": first}
    policy = Policy.model_validate(content)
    assert policy.instructions.first_pass is not None
    audited = Audited(engine := Preparing())
    async with audited.running():
        for offset in range(3):
            audited.audits.offer(judgement(policy=policy, offset=offset))
        await audited.published(3)
        assert engine.prepared == {replace(policy.instructions, first_pass=None): 1}
    assert [request.instructions.first_pass for request in engine.requests] == [None] * 3
    assert +engine.prepared == {}


async def test_only_images_that_a_model_allowed_are_audited() -> None:
    audited = Audited()
    refused = judgement(scores=HARMLESS | {"violence": 0.95})
    unjudged = judgement()
    verdict = unjudged.verdict.model_copy(update={"status": "not_moderated"})
    async with audited.running():
        audited.audits.offer(refused)
        audited.audits.offer(replace(unjudged, verdict=verdict))
        audited.audits.offer(painted())
        await audited.published(1)
    assert len(audited.engine.requests) == 1


async def test_an_uploader_who_always_sends_one_image_id_is_audited_at_the_share_as_all_others_are() -> None:
    class Offered(Audited):
        def chosen(self) -> int:
            for offset in range(4_000):
                self.audits.offer(judgement("the same", offset=offset))
            return round(sum(left_out(scraped(metrics)).values())) + MAX_IN_FLIGHT + MAX_WAITING

    counts = []
    for key in ("one", "another"):
        with counting() as metrics:  # nothing works the queue off, so that what exceeds it is counted
            counts.append(Offered(options=replace(ALL, share=0.1, key=key)).chosen())
    assert all(320 < count < 480 for count in counts)
    assert counts[0] != counts[1]


def test_each_process_chooses_by_a_key_of_its_own() -> None:
    assert len({AuditOptions.new_key() for _ in range(10)}) == 10
    assert len(AuditOptions.new_key().encode()) <= 64


async def test_images_that_find_no_place_are_reported_with_the_reason_and_bounded_in_count() -> None:
    hold = asyncio.Event()
    audited = Audited(PaintedEngine(hold=hold))
    places = MAX_IN_FLIGHT + MAX_WAITING
    with counting() as metrics:
        async with audited.running():
            for offset in range(places + 3):
                audited.audits.offer(painted(offset=offset))
            found = await audited.published(3)
            assert [each.left_out for each in found] == ["queue_full"] * 3
            assert [each.verdict for each in found] == [None] * 3
            hold.set()
            await audited.published(places + 3)
        assert left_out(scraped(metrics)) == {"queue_full": 3}


async def test_the_pixels_that_wait_are_bounded_by_bytes() -> None:
    hold = asyncio.Event()
    audited = Audited(PaintedEngine(hold=hold), replace(ALL, max_bytes=2 * (100 * 100 * 3 + 1_000)))
    async with audited.running():
        for offset in range(3):
            audited.audits.offer(painted(offset=offset, side=100))
        (found,) = await audited.published(1)
        assert (found.left_out, found.source.offset) == ("queue_full", 2)
        hold.set()
        await audited.published(3)


async def test_an_image_file_that_is_padded_inside_of_its_event_takes_no_room_and_is_audited() -> None:
    padded = judgement(value=b"x" * 11_000_000)
    image = ImageInlineV1(inline="x" * 10_500_000, media_type="image/png")
    event = padded.subject.event.model_copy(update={"image": image})
    audited = Audited()
    async with audited.running():
        audited.audits.offer(replace(padded, subject=replace(padded.subject, event=event)))
        (found,) = await audited.published(1)
    assert found.left_out is None


async def test_an_image_waits_for_room_in_the_engine_and_is_left_out_where_there_is_none_in_time() -> None:
    has_room = False
    audited = Audited(options=replace(ALL, timeout_s=0.15), has_room=lambda: has_room)
    async with audited.running():
        audited.audits.offer(painted(offset=1))
        assert [each.left_out for each in await audited.published(1)] == ["no_room"]
        assert not audited.engine.requests
        has_room = True
        audited.audits.offer(painted(offset=2))
        assert [each.left_out for each in await audited.published(2)] == ["no_room", None]


async def test_an_image_that_fails_or_hangs_costs_no_other() -> None:
    class Failing(PaintedEngine):
        async def judge(self, request: EngineRequest) -> EngineOutput:
            if request.request_id.endswith("/1/0"):
                raise EngineFailedError(detail="on purpose")
            if request.request_id.endswith("/2/0"):
                raise asyncio.CancelledError
            if request.request_id.endswith("/3/0"):
                await asyncio.Event().wait()
            return await super().judge(request)

    audited = Audited(Failing(), replace(ALL, timeout_s=0.1))
    async with audited.running():
        for offset in range(1, 6):
            audited.audits.offer(painted(offset=offset))
        found = await audited.published(5)
    by_offset = {each.source.offset: each.left_out for each in found}
    assert by_offset == {1: "failed", 2: "failed", 3: "timed_out", 4: None, 5: None}


async def test_images_that_wait_when_the_service_stops_are_reported_as_left_out() -> None:
    audited = Audited(PaintedEngine(hold=asyncio.Event()))
    async with audited.running():
        for offset in range(4):
            audited.audits.offer(painted(offset=offset))
        await wait_until(lambda: len(audited.engine.requests) == MAX_IN_FLIGHT, description="two are in work")
    assert [(each.source.offset, each.left_out) for each in audited.found] == [(n, "stopped") for n in range(4)]


async def test_records_that_are_on_their_way_when_the_service_stops_are_published() -> None:
    class Slow(Kept):
        is_sending = False

        async def publish(self, records: Sequence[OutgoingRecord]) -> None:
            self.is_sending = True
            await asyncio.sleep(0.05)
            await super().publish(records)

    audited, slow = Audited(PaintedEngine(hold=asyncio.Event())), Slow()
    audited.kept = slow
    audited.audits = Audits(audited.engine, ALL, publisher=slow, topic=TOPIC)
    places = MAX_IN_FLIGHT + MAX_WAITING
    async with audited.running():
        for offset in range(places + 3):
            audited.audits.offer(painted(offset=offset))
        await wait_until(lambda: slow.is_sending, description="what found no place is on its way")
    assert Counter(each.left_out for each in audited.found) == {"queue_full": 3, "stopped": places}


async def test_records_of_images_that_were_left_out_are_bounded_where_nothing_takes_them() -> None:
    class Stuck(Kept):
        async def publish(self, records: Sequence[OutgoingRecord]) -> None:
            await asyncio.Event().wait()

    audited = Audited(options=replace(ALL, max_bytes=1))
    audited.audits._publisher = Stuck()
    most = audits._MAX_LEFT_OUT_BYTES // audits._REPORT_BYTES
    with counting() as metrics:
        for offset in range(most + 10):
            audited.audits.offer(painted(offset=offset))
        found = left_out(scraped(metrics))
    assert found["queue_full"] == most + 10
    assert 10 <= found["not_published"] < 20


async def test_a_random_load_leaves_every_chosen_image_with_exactly_one_record() -> None:
    chance = random.Random(7)
    audited = Audited(options=replace(ALL, timeout_s=0.2), has_room=lambda: chance.random() < 0.3)
    async with audited.running():
        for offset in range(300):
            audited.audits.offer(painted(offset=offset))
            if chance.random() < 0.2:
                await asyncio.sleep(0.005)
    offsets = [each.source.offset for each in audited.found]
    assert sorted(offsets) == list(range(300))
