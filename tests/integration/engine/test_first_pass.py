"""Few tokens first, in the real vLLM: the moderator clears pictures at a quarter of their pixels."""

import asyncio
import io
from collections.abc import Sequence

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from schemas.image_uploaded import ImageByUrlV1, ImageUploadedV1
from schemas.verdict import VerdictV1
from service.moderation.requests import RequestModerator
from service.policy.loader import Policies, PolicySet, load_policies
from service.policy.policy import Policy
from service.settings.settings import PolicySettings
from testing.tiny_api import TinyApi
from testing.tiny_model.scenes import draw, random_scene
from testing.tiny_model.tiny import policy_file

pytestmark = pytest.mark.asyncio(loop_scope="session")

VISION_TOKENS, FEW = 64, 16
SIDE = 128
"""Pixels of the drawings. Each is doubled for the 64 tokens, and the first pass sees it as the model was taught."""

HARMLESS, HARMFUL = 12, 6

ROUNDING = 0.02
"""How far a score may move with what else is in a batch."""


def policy(name: str, **more: object) -> Policy:
    """Return the tiny model's policy with a first pass, or without one."""
    shapes = load_policies(PolicySettings(path=policy_file(), default="shapes")).default
    content = {**shapes.model_dump(), "name": name, "attributes": None, "vision_tokens": VISION_TOKENS, **more}
    return Policy.model_validate(content)


FULL = policy("full")
FEW_FIRST = policy("few-first", first_pass={"vision_tokens": FEW, "clear_below": {"default": 0.3, "child_safety": 0.3}})


def file_of(number: int) -> bytes:
    """Return a drawing as PNG; the last ones have a harmful shape."""
    scene = random_scene(np.random.default_rng(number), harmful=int(number >= HARMLESS), size=(SIDE, SIDE))
    file = io.BytesIO()
    Image.fromarray(draw(scene)).resize((2 * SIDE, 2 * SIDE), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


async def verdicts(api: TinyApi, wanted: Policy) -> Sequence[VerdictV1]:
    """Judge all pictures side by side by a policy, as requests to the API are judged."""
    plane = api.api.plane
    moderator = RequestModerator(
        plane.moderator, Policies(PolicySet({wanted.name: wanted}, wanted, {})), max_image_bytes=1_000_000
    )
    await plane.engine.prepare(wanted.instructions)
    try:
        found = await asyncio.gather(
            *(
                moderator.judge(
                    ImageUploadedV1(image_id=str(number), image=ImageByUrlV1(url="https://example.com/a.png")),
                    route="test",
                    request_id=str(number),
                    attached=file_of(number),
                )
                for number in range(HARMLESS + HARMFUL)
            )
        )
    finally:
        plane.engine.forget(wanted.instructions)
    return [each.verdict for each in found if each.verdict is not None]


def is_cleared(verdict: VerdictV1) -> bool:
    return verdict.first_pass is not None and verdict.first_pass.decided


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def judged(tiny_api: TinyApi) -> Sequence[VerdictV1]:
    return await verdicts(tiny_api, FEW_FIRST)


async def test_harmless_pictures_are_cleared_and_harmful_ones_are_judged_in_full(judged: Sequence[VerdictV1]) -> None:
    cleared = [is_cleared(each) for each in judged]
    assert sum(cleared[:HARMLESS]) >= HARMLESS - 2
    assert not any(cleared[HARMLESS:])
    assert {each.decision for each in judged[:HARMLESS]} == {"allow"}


async def test_what_is_not_cleared_is_judged_as_without_a_first_pass(
    tiny_api: TinyApi, judged: Sequence[VerdictV1]
) -> None:
    alone = await verdicts(tiny_api, FULL)
    assert {each.first_pass for each in alone} == {None}
    pairs = [(one, other) for one, other in zip(judged, alone, strict=True) if not is_cleared(one)]
    assert [one.decision for one, _ in pairs] == [other.decision for _, other in pairs]
    for one, other in pairs:
        assert one.scores == pytest.approx(other.scores, abs=ROUNDING)


async def test_each_verdict_names_the_pass_whose_scores_it_has(judged: Sequence[VerdictV1]) -> None:
    for each in judged:
        first = each.first_pass
        assert first is not None
        assert (each.prompt_hash, each.label_map) == (first.prompt_hash, first.label_map)
        seen = f"/{FEW if first.decided else VISION_TOKENS}x32x32/"
        assert seen in (each.preprocessing or "")
        assert each.scores == first.scores or not first.decided
