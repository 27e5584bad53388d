"""Policies on trial: which images they get, what they decide, and what becomes of a flood."""

import asyncio
import itertools
import sys
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from service.core.records import OutgoingRecord
from service.moderation import shadow_policies
from service.moderation.loop_share import SLICE_S, LoopShare
from service.moderation.shadow import Publisher
from service.moderation.shadow_policies import ShadowPolicies, TrialPolicies
from service.policy.first_pass import FirstPass
from service.policy.judged import ImageDecision, JudgedFrame, JudgedImage, decide_image
from service.policy.policy import Policy
from service.policy.taxonomy import CHILD_SAFETY
from testing.metrics import counting, scraped
from testing.waiting import wait_until
from tests.unit.moderation.shadow_parts import HARMLESS, LIVE, TOPIC, Kept, judgement, trial


def shadow(policies: Sequence[Policy], publisher: Publisher | None, *, max_waiting: int = 1000) -> ShadowPolicies:
    return ShadowPolicies(
        TrialPolicies(policies, live={LIVE.name}),
        publisher=publisher,
        topic=TOPIC,
        max_waiting=max_waiting,
        share=LoopShare(0.5),
    )


@asynccontextmanager
async def deciding(shadow: ShadowPolicies) -> AsyncIterator[None]:
    """Let a shadow decide; at the end it has decided about all that it took in."""
    task = asyncio.create_task(shadow.run())
    yield
    shadow.drain()
    async with asyncio.timeout(20):
        await task


async def test_each_policy_on_trial_decides_on_the_scores_of_the_verdict() -> None:
    kept = Kept()
    trying = shadow([trial(version="2", review=0.9), trial(version="3", review=0.5)], kept)
    async with deciding(trying):
        trying.offer(judgement(scores=HARMLESS | {"weapons": 0.7}))
    (message,) = kept.messages
    assert (message.image_id, message.tenant, message.attempt, message.engine) == ("42", "shop", 1, None)
    assert (message.live.decision, message.live.policy.hash) == ("review", LIVE.hash)
    decisions = [(each.policy.version, each.decision, each.deciding_category, each.agrees) for each in message.policies]
    assert decisions == [("2", "allow", None, False), ("3", "review", "weapons", True)]


async def test_a_record_has_the_key_of_the_upload_and_always_the_same_id() -> None:
    ids = set()
    for _ in range(2):
        kept = Kept()
        trying = shadow([trial()], kept)
        async with deciding(trying):
            trying.offer(judgement())
        (record,) = kept.records
        assert (record.topic, record.key) == (TOPIC, b"key")
        ids.add(dict(record.headers)["ce_id"])
    assert len(ids) == 1


async def test_a_policy_says_which_of_its_categories_have_no_scores() -> None:
    kept = Kept()
    trying = shadow([trial()], kept)
    async with deciding(trying):
        trying.offer(judgement())
    assert kept.messages[0].policies[0].unscored == ("child_safety",)


@pytest.mark.parametrize(
    ("policy", "tenants"),
    [
        (trial("default"), {"shop", "forum"}),
        (trial("elsewhere"), {"shop", "forum"}),
        (trial("elsewhere", tenants=("shop",)), {"shop"}),
        (trial("kids"), set()),
    ],
    ids=["of the live policy", "of all", "of one tenant", "of another live policy"],
)
def test_a_policy_is_tried_on_the_images_of_the_live_one_with_its_name_or_else_on_all_or_its_tenants(
    policy: Policy, tenants: set[str]
) -> None:
    trials = TrialPolicies([policy], live={"default", "kids"})
    assert {tenant for tenant in ("shop", "forum") if trials.of_image("default", tenant)} == tenants


async def test_an_image_without_a_policy_on_trial_makes_no_record() -> None:
    kept = Kept()
    trying = shadow([trial("elsewhere", tenants=("forum",))], kept)
    async with deciding(trying):
        trying.offer(judgement())
    assert kept.records == []


async def test_a_policy_that_raises_does_not_keep_the_others_from_deciding(monkeypatch: pytest.MonkeyPatch) -> None:
    def decide(policy: Policy, image: JudgedImage) -> ImageDecision:
        if policy.version == "2":
            raise ZeroDivisionError
        return decide_image(policy, image)

    monkeypatch.setattr(shadow_policies, "decide_image", decide)
    kept = Kept()
    trying = shadow([trial(version="2"), trial(version="3")], kept)
    with counting() as metrics:
        async with deciding(trying):
            for offset in range(3):
                trying.offer(judgement(offset=offset))
        left_out = scraped(metrics).value("modstream_shadow_left_out_total", part="policies", reason="failed")
    assert [[each.policy.version for each in message.policies] for message in kept.messages] == [["3"]] * 3
    assert left_out == 3


async def test_scores_that_are_no_probabilities_cost_one_record_and_no_more() -> None:
    kept = Kept()
    trying = shadow([trial()], kept)
    broken = replace(judgement(offset=1), image=JudgedImage((JudgedFrame({"weapons": float("nan")}),)))
    async with deciding(trying):
        trying.offer(broken)
        trying.offer(judgement(offset=2))
    assert 2 in [message.source.offset for message in kept.messages]


async def test_what_a_first_pass_cleared_is_decided_by_policies_whose_first_pass_would_clear_it() -> None:
    first_pass = FirstPass(clear_below={"default": 0.1, CHILD_SAFETY: 0.05})
    live = Policy(name=LIVE.name, version="1", categories=trial().categories, first_pass=first_pass)
    lower = FirstPass(clear_below={"default": 0.01, CHILD_SAFETY: 0.01})
    trials = [
        Policy(name=LIVE.name, version=version, categories=trial().categories, first_pass=rule)
        for version, rule in (("same", first_pass), ("lower", lower), ("none", None))
    ]
    kept = Kept()
    trying = shadow(trials, kept)
    with counting() as metrics:
        async with deciding(trying):
            scores = {CHILD_SAFETY: 0.0, "weapons": 0.02}
            trying.offer(judgement(policy=live, scores=HARMLESS | scores, is_cleared=True))
        scrape = scraped(metrics)
    (message,) = kept.messages
    assert [each.policy.version for each in message.policies] == ["same"]
    assert scrape.value("modstream_shadow_left_out_total", reason="cleared") == 2


async def test_a_flood_is_left_out_and_counted() -> None:
    kept = Kept()
    trying = shadow([trial()], kept, max_waiting=50)
    with counting() as metrics:
        for offset in range(3000):
            trying.offer(judgement(offset=offset))
        async with deciding(trying):
            pass
        scrape = scraped(metrics)
    assert [message.source.offset for message in kept.messages] == [*range(50)]
    assert scrape.value("modstream_shadow_left_out_total", reason="queue_full") == 2950
    assert scrape.value("modstream_shadow_decisions_total", shadow="default/2", agrees="yes") == 50


async def test_what_uploaders_choose_takes_a_bounded_number_of_bytes() -> None:
    trying = shadow([trial()], Kept())
    large = judgement()
    large = replace(large, subject=replace(large.subject, record=large.subject.record._replace(key=b"k" * 1024**2)))
    with counting() as metrics:
        for _ in range(70):
            trying.offer(large)
        left_out = scraped(metrics).value("modstream_shadow_left_out_total", reason="queue_full")
    assert left_out == 7


async def test_the_scores_of_many_frames_take_a_bounded_number_of_bytes() -> None:
    trying = shadow([trial()], Kept())
    frame = JudgedFrame(dict.fromkeys(map(str, range(100)), 0.5), uncalibrated=dict.fromkeys(map(str, range(100)), 0.4))
    animated = replace(judgement(), image=JudgedImage((frame,) * 100))
    with counting() as metrics:
        for _ in range(100):
            trying.offer(animated)
        left_out = scraped(metrics).value("modstream_shadow_left_out_total", reason="queue_full")
    assert left_out == 100 - 64 * 1024**2 // (100 * 200 * 56)


async def test_neither_events_nor_pixels_wait_with_a_verdict() -> None:
    trying = shadow([trial()], Kept())
    offered = judgement(value=b"x" * 10**6)
    pixels, value = weakref.ref(offered.subject.image.frames[0]), offered.subject.record.value
    references = sys.getrefcount(value)
    trying.offer(offered)
    del offered
    assert pixels() is None
    assert sys.getrefcount(value) == references - 1


async def test_a_publisher_that_hangs_holds_up_records_and_nothing_that_offers() -> None:
    class Hanging(Kept):
        async def publish(self, records: Sequence[OutgoingRecord]) -> None:
            await super().publish(records)
            await asyncio.Event().wait()

    hanging = Hanging()
    trying = shadow([trial()], hanging, max_waiting=10)
    task = asyncio.create_task(trying.run())
    with counting() as metrics:
        trying.offer(judgement())
        await wait_until(lambda: bool(hanging.batches), description="the first batch is being published")
        for offset in range(100):
            trying.offer(judgement(offset=offset))
        left_out = scraped(metrics).value("modstream_shadow_left_out_total", reason="queue_full")
    task.cancel()
    assert left_out == 90
    assert len(hanging.batches) == 1


async def test_without_a_topic_decisions_are_counted_alone() -> None:
    trying = shadow([trial(review=0.1)], None)
    with counting() as metrics:
        async with deciding(trying):
            trying.offer(judgement(scores=HARMLESS | {"weapons": 0.2}))
        scrape = scraped(metrics)
    counted = scrape.value("modstream_shadow_decisions_total", live="allow", decision="review", agrees="no")
    assert counted == 1


async def test_a_queue_of_images_that_no_policy_is_for_leaves_the_event_loop_to_others() -> None:
    paused = []

    async def pause(seconds: float) -> None:
        paused.append(seconds)

    ticks = itertools.count()
    trying = ShadowPolicies(
        TrialPolicies([trial("elsewhere", tenants=("forum",))], live={LIVE.name}),
        publisher=Kept(),
        topic=TOPIC,
        max_waiting=100,
        share=LoopShare(0.01, clock=lambda: next(ticks) * 2 * SLICE_S, pause=pause),
    )
    for offset in range(100):
        trying.offer(judgement(offset=offset))
    async with deciding(trying):
        pass
    assert len(paused) == 100


async def test_a_cancellation_of_something_else_does_not_end_the_trial() -> None:
    class Cancelled(Kept):
        is_broken = True

        async def publish(self, records: Sequence[OutgoingRecord]) -> None:
            if self.is_broken:
                self.is_broken = False
                raise asyncio.CancelledError
            await super().publish(records)

    kept = Cancelled()
    trying = shadow([trial()], kept)
    task = asyncio.create_task(trying.run())
    trying.offer(judgement(offset=1))
    await wait_until(lambda: not kept.is_broken, description="the first batch is cancelled")
    trying.offer(judgement(offset=2))
    await wait_until(lambda: bool(kept.records), description="the second is published")
    trying.drain()
    await task
    assert [message.source.offset for message in kept.messages] == [2]
