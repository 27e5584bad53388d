"""Solved thresholds become rules of a policy that ascend and keep its promises."""

import pytest

from service.policy.policy import CategoryRule, Policy
from service.tools.evaluation.thresholds.ranking import Ranking
from service.tools.evaluation.thresholds.target import Target
from service.tools.evaluation.thresholds.thresholds import HeldOut, Solution, outcome_of, solve_targets
from tests.unit.tools.evaluation.labelled import ranking


def policy(**rules: CategoryRule) -> Policy:
    return Policy(name="shop", version="1", categories={"child_safety": CategoryRule(review=0.1, block=0.8), **rules})


def solve(given: Policy, rankings: dict[str, Ranking], *targets: str, hints: frozenset[str] = frozenset()) -> Solution:
    wanted = [Target.parse(text) for text in targets]
    return solve_targets(given, rankings, wanted, hints=hints, confidence=0.99, seed=0)


@pytest.mark.parametrize(
    ("target", "rule", "outcome"),
    [
        ("weapons.precision>=0.9", CategoryRule(review=0.4, block=0.8), "block"),
        ("weapons.precision>=0.9", CategoryRule(review=0.4), "review"),
        ("weapons.recall>=0.9", CategoryRule(review=0.4, block=0.8), "review"),
        ("weapons.recall>=0.9", CategoryRule(block=0.8), "block"),
        ("weapons.recall>=0.9", CategoryRule(label=0.2), "review"),
        ("weapons.review.precision>=0.9", CategoryRule(review=0.4, block=0.8), "review"),
    ],
)
def test_a_target_is_about_the_threshold_that_it_is_a_matter_of(target: str, rule: CategoryRule, outcome: str) -> None:
    assert outcome_of(Target.parse(target), rule) == outcome


def test_thresholds_of_several_categories_are_solved_and_explained() -> None:
    given = policy(weapons=CategoryRule(review=0.4, block=0.8), violence=CategoryRule(review=0.5))
    images = {"weapons": ranking(5_000), "violence": ranking(5_000, seed=1)}
    found = solve(given, images, "weapons.precision>=0.9", "weapons.recall>=0.9", "violence.recall>=0.95")
    assert not found.not_supported
    assert {name: sorted(rule.thresholds) for name, rule in found.rules.items()} == {
        "weapons": ["block", "review"],
        "violence": ["review"],
    }
    block, _ = found.rules["weapons"].comments
    assert "weapons.precision>=0.9 with 99.0% confidence: measured 0.9" in block
    assert all(each.held_out.kept >= 0.9 * each.held_out.solved for each in found.solved)


def test_milder_thresholds_come_down_to_a_solved_graver_one() -> None:
    given = policy(weapons=CategoryRule(label=0.97, review=0.98, block=0.99))
    found = solve(given, {"weapons": ranking(5_000, distance=3.0)}, "weapons.block.precision>=0.9")
    rule = found.rules["weapons"]
    assert rule.thresholds["label"] == rule.thresholds["review"] == rule.thresholds["block"] < 0.9
    assert any("review moved from 0.98" in comment for comment in rule.comments)
    assert any("label moved from 0.97" in comment for comment in rule.comments)


def test_a_review_that_rests_on_precision_moves_block_up() -> None:
    given = policy(weapons=CategoryRule(review=0.1, block=0.2))
    found = solve(given, {"weapons": ranking(5_000)}, "weapons.review.precision>=0.9")
    rule = found.rules["weapons"]
    assert rule.thresholds["block"] == rule.thresholds["review"] > 0.2


def test_thresholds_that_could_not_ascend_are_refused() -> None:
    given = policy(weapons=CategoryRule(review=0.4, block=0.8))
    targets = ("weapons.review.precision>=0.95", "weapons.block.recall>=0.97")
    found = solve(given, {"weapons": ranking(10_000)}, *targets)
    assert found.rules == {}
    assert "ascend" in found.not_supported[0].detail


def test_child_safety_is_reviewed_from_one_half_on_at_the_latest() -> None:
    found = solve(policy(), {"child_safety": ranking(10_000, distance=4.0)}, "child_safety.recall>=0.5")
    assert found.rules["child_safety"].thresholds["review"] == 0.5


@pytest.mark.parametrize(
    ("target", "detail"),
    [("weapons.block.precision>=0.9", "which never blocks"), ("violence.recall>=0.9", "no image has both")],
)
def test_what_the_engine_cannot_do_is_refused(target: str, detail: str) -> None:
    given = policy(weapons=CategoryRule(review=0.4, block=0.8), violence=CategoryRule(review=0.5))
    found = solve(given, {"weapons": ranking(5_000)}, target, hints=frozenset({"weapons"}))
    assert found.rules == {}
    assert detail in found.not_supported[0].detail


def test_one_target_without_support_keeps_all_thresholds_as_they_are() -> None:
    given = policy(weapons=CategoryRule(review=0.4), violence=CategoryRule(review=0.5))
    images = {"weapons": ranking(5_000), "violence": ranking(50)}
    found = solve(given, images, "weapons.recall>=0.9", "violence.recall>=0.99")
    assert [each.category for each in found.solved] == ["weapons"]
    assert found.rules == {}


def test_halves_that_are_too_small_to_solve_are_no_failure() -> None:
    assert (str(HeldOut(95, 99)), str(HeldOut(0, 0))) == ("95 of 99", "untried: a half is too small")
