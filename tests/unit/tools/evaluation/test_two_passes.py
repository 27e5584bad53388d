"""Verdicts show what both passes find only where both of them judged the same image."""

from typing import Any

import pytest

from schemas.verdict import VerdictV1
from service.policy.policy import CategoryRule, Policy
from service.tools.evaluation.thresholds.two_passes import PassesNotComparableError, two_passes
from tests.unit.tools.evaluation.predicted import verdict

POLICY = Policy(
    name="shop", version="1", categories={"child_safety": CategoryRule(review=0.1), "weapons": CategoryRule(review=0.4)}
)
MODEL = {"name": "qwen3-vl-tiny", "revision": "1"}


def judged(full: float, first: float, *, by: dict[str, Any] | None = None, **fields: Any) -> VerdictV1:
    """Return a verdict of both passes with their scores for weapons."""
    found = {
        "decided": False,
        "scores": {"child_safety": 0.0, "weapons": first},
        "clear_below": {"child_safety": 0.0, "weapons": 0.0},
        "engine": "vllm",
        "model": MODEL,
        "prompt_hash": "ab" * 32,
    }
    given: dict[str, Any] = {"views": (), "ambiguous": (), "first_pass": found | (by or {})} | fields
    return verdict({"child_safety": 0.0, "weapons": full}, **given)


def test_each_image_has_the_first_passs_scores_and_the_decision_of_the_full_one() -> None:
    found = two_passes([judged(0.9, 0.5), judged(0.1, 0.3)], POLICY)
    assert [(each.first["weapons"], each.is_allowed) for each in found.images] == [(0.5, False), (0.3, True)]
    assert found.left_out == {}


def test_thresholds_of_today_decide_whatever_the_verdict_says() -> None:
    stricter = POLICY.model_copy(update={"categories": {**POLICY.categories, "weapons": CategoryRule(review=0.05)}})
    assert not two_passes([judged(0.1, 0.3)], stricter).images[0].is_allowed


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"first_pass": None}, "without scores of a first pass"),
        ({"ambiguous": ("truncated",)}, "ambiguous"),
        ({"status": "not_moderated", "scores": {}}, "not moderated"),
        ({"views": ({"frame": 0, "region": None, "categories": ()},)}, "several frames or views"),
    ],
)
def test_what_shows_nothing_about_a_first_pass_is_left_out_and_counted(fields: dict[str, Any], why: str) -> None:
    odd = judged(0.9, 0.5).model_copy(update=fields)
    found = two_passes([odd, judged(0.1, 0.3)], POLICY)
    assert len(found.images) == 1
    assert [(reason.startswith(why), count) for reason, count in found.left_out.items()] == [(True, 1)]


def test_images_that_the_first_pass_cleared_are_refused_because_the_full_pass_never_saw_them() -> None:
    with pytest.raises(PassesNotComparableError, match=r"1 of 2 images were cleared.*default: 0, child_safety: 0"):
        two_passes([judged(0.1, 0.01, by={"decided": True}), judged(0.1, 0.3)], POLICY)


def test_scores_of_different_first_passes_are_refused() -> None:
    other = judged(0.1, 0.3, by={"preprocessing": "64 tokens"})
    with pytest.raises(PassesNotComparableError, match="different first passes"):
        two_passes([judged(0.1, 0.3), other], POLICY)
