"""Whatever is on trial and however it fails: the live outcomes are the same."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from service.moderation.engine_client import EngineClient
from service.moderation.loop_share import LoopShare
from service.moderation.moderate import Moderator
from service.moderation.shadow import Judgement, Shadow, Shadows
from service.moderation.shadow_policies import ShadowPolicies, TrialPolicies
from service.policy.loader import Policies, PolicySet, load_policies
from service.policy.policy import Policy
from service.settings.delivery import TopicSettings
from service.settings.settings import PolicySettings
from testing.engine import PaintedEngine
from testing.metrics import counting, scraped
from tests.unit.moderation.album import Album, Colour, job
from tests.unit.moderation.shadow_parts import LIVE, TOPIC, Kept, judgement, trial
from tests.unit.policy.policies import policies

BUNDLED = load_policies(PolicySettings())


class Raising:
    """A shadow with a defect."""

    offered = 0

    def offer(self, judgement: Judgement) -> None:
        """Raise what no one expects."""
        self.offered += 1
        raise RecursionError

    def warnings(self) -> list[str]:
        """Have none."""
        return ["it is broken"]


def of_policies(on_trial: Sequence[Policy], kept: Kept, *, max_waiting: int = 100) -> ShadowPolicies:
    found = TrialPolicies(on_trial, live={LIVE.name})
    return ShadowPolicies(found, publisher=kept, topic=TOPIC, max_waiting=max_waiting, share=LoopShare(0.5))


async def outcomes(live: Policies, colours: Sequence[Colour], shadows: Sequence[Shadow]) -> list[Any]:
    """Return what is published about images of these colours, but for times, with shadows at work beside."""
    album = Album(**{f"image-{number}": [colour] for number, colour in enumerate(colours)})
    moderator = Moderator(
        fetcher=album,
        decoder=album,
        engine_client=EngineClient(PaintedEngine(), timeout_s=5.0),
        policies=live,
        topics=TopicSettings(),
        shadows=Shadows(shadows),
    )
    running = [asyncio.create_task(each.run()) for each in shadows if isinstance(each, ShadowPolicies)]
    events = [{"image": {"url": f"image-{n}"}, "tasks": ["moderation", "tags"]} for n in range(len(colours))]
    published = await asyncio.gather(*(moderator(job(event)) for event in events))
    for each in shadows:
        if isinstance(each, ShadowPolicies):
            each.drain()
    await asyncio.gather(*running)
    return [(record.topic, record.key, without_times(record.value or b"")) for of in published for record in of]


def without_times(value: bytes) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(value)
    return {name: each for name, each in found.items() if name not in {"timings_ms", "moderated_at", "tagged_at"}}


shades = st.integers(0, 255)
colours = st.lists(st.tuples(shades, shades, shades), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(live=policies(), on_trial=st.lists(policies(), max_size=4), colours=colours, max_waiting=st.integers(1, 4))
def test_a_shadow_never_changes_a_live_outcome(
    live: Policy, on_trial: list[Policy], colours: list[Colour], max_waiting: int
) -> None:
    served = Policies(PolicySet({live.name: live}, live, {}))
    shadows: list[Shadow] = [Raising(), of_policies(on_trial, Kept(), max_waiting=max_waiting)]

    async def both() -> None:
        assert await outcomes(served, colours, shadows) == await outcomes(served, colours, [])

    asyncio.run(both())


async def test_every_shadow_sees_a_judgement_also_behind_one_that_raises() -> None:
    raising, kept = Raising(), Kept()
    behind = of_policies([trial()], kept)
    with counting() as metrics:
        await outcomes(BUNDLED, [(0, 0, 0)] * 3, [raising, behind])
        left_out = scraped(metrics).value("modstream_shadow_left_out_total", part="offer", reason="failed")
    assert (raising.offered, len(kept.records), left_out) == (3, 3, 3)


async def test_a_verdict_does_not_wait_for_a_shadow() -> None:
    never_run = of_policies([trial()], Kept())
    moderated = Moderator(
        fetcher=(album := Album(image=[(0, 0, 0)])),
        decoder=album,
        engine_client=EngineClient(PaintedEngine(), timeout_s=5.0),
        policies=BUNDLED,
        topics=TopicSettings(),
        shadows=Shadows([never_run]),
    )
    async with asyncio.timeout(5):
        assert len(await moderated(job({"image": {"url": "image"}}))) == 1


async def test_events_that_want_no_verdict_are_shown_to_no_shadow() -> None:
    raising = Raising()
    album = Album(image=[(0, 0, 0)])
    moderated = Moderator(
        fetcher=album,
        decoder=album,
        engine_client=EngineClient(PaintedEngine(), timeout_s=5.0),
        policies=BUNDLED,
        topics=TopicSettings(),
        shadows=Shadows([raising]),
    )
    await moderated(job({"image": {"url": "image"}, "tasks": ["tags"]}))
    assert raising.offered == 0


def test_warnings_of_all_shadows_are_given_together() -> None:
    assert Shadows([Raising(), Raising()]).warnings() == ["it is broken"] * 2
    Shadows([Raising()]).offer(judgement())
