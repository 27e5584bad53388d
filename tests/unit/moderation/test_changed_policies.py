"""Policies are replaced while images are in work."""

import asyncio
from dataclasses import replace

from schemas.image_uploaded import ImageByUrlV1, ImageUploadedV1
from service.core.instructions import ModelInstructions
from service.inference.engine import EngineDescription
from service.moderation.requests import RequestModerator
from service.policy.loader import Policies, PolicySet, load_policies
from service.policy.policy import Policy
from service.settings.settings import PolicySettings
from testing.engine import PaintedEngine
from testing.waiting import wait_until
from tests.unit.moderation.album import VIOLENT, Album, job, moderator, verdict_of


def with_other_rules(policies: Policies, *, vision_tokens: int) -> PolicySet:
    """Return policies whose default one reviews what the present one blocks, and is read by the engine anew."""
    content = policies.default.model_dump()
    content["categories"]["violence"] = {"review": 0.5}
    policy = Policy.model_validate({**content, "vision_tokens": vision_tokens})
    return PolicySet({policy.name: policy}, policy, {})


class Sighted(PaintedEngine):
    """Is described by the vision tokens of its instructions."""

    def describe(self, instructions: ModelInstructions) -> EngineDescription:
        """Name them as its preprocessing."""
        return replace(super().describe(instructions), preprocessing=f"{instructions.vision_tokens}")


async def test_an_image_in_work_keeps_its_policy_and_the_next_one_gets_the_new_one() -> None:
    hold, policies = asyncio.Event(), load_policies(PolicySettings())
    engine = Sighted(hold=hold)
    moderating = moderator(Album(film=[VIOLENT]), engine=engine, policies=policies)
    before = policies.default
    first = asyncio.create_task(moderating(job({"image": {"url": "film"}})))
    await wait_until(lambda: len(engine.requests) == 1, description="the first image is in the engine")
    policies.current = with_other_rules(policies, vision_tokens=1024)
    hold.set()
    old, new = verdict_of(await first), verdict_of(await moderating(job({"image": {"url": "film"}})))
    assert (old.decision, old.policy.hash, old.preprocessing) == ("block", before.hash, "256")
    assert (new.decision, new.policy.hash, new.preprocessing) == ("review", policies.default.hash, "1024")
    assert [request.instructions.vision_tokens for request in engine.requests] == [256, 1024]


class ReplacedOnSelection(Policies):
    """Gets other policies of the same names as soon as one was selected."""

    def select_known(self, name: str | None, *, tenant: str) -> Policy:
        policy = super().select_known(name, tenant=tenant)
        self.current = with_other_rules(self, vision_tokens=1024)
        return policy


async def test_a_request_is_judged_by_the_policy_that_its_tenant_was_checked_for() -> None:
    policies = ReplacedOnSelection(load_policies(PolicySettings()).current)
    checked = policies.default
    requests = RequestModerator(moderator(Album(film=[VIOLENT]), policies=policies), policies, max_image_bytes=1)
    event = ImageUploadedV1(image_id="42", tenant="shop", image=ImageByUrlV1(url="film"))
    verdict = (await requests.judge(event, route="page", request_id="1")).verdict
    assert verdict is not None
    assert verdict.policy.hash == checked.hash != policies.default.hash


async def test_what_is_known_of_the_engine_for_policies_that_are_gone_is_forgotten() -> None:
    policies = load_policies(PolicySettings())
    moderating = moderator(Album(film=[VIOLENT]), policies=policies)
    for number in range(100):
        policy = policies.default.model_copy(update={"name": f"policy-{number}"})
        policies.current = PolicySet({policy.name: policy}, policy, {})
        await moderating(job({"image": {"url": "film"}}))
    assert len(moderating._engines) == 1
