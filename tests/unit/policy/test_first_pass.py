"""The key `first_pass` of a policy: what it may clear, and what is refused as it would clear nothing or too much."""

from typing import Any

import pytest
from pydantic import ValidationError

from service.policy.policy import Policy

CATEGORIES = {"child_safety": {"review": 0.3}, "weapons": {"label": 0.2, "review": 0.5}, "alcohol": {}}
WHOLE = {"default": 0.1, "child_safety": 0.05}


def policy(first_pass: object = None, **others: Any) -> Policy:
    content = {"name": "a", "version": "1", "categories": CATEGORIES, "first_pass": first_pass, **others}
    return Policy.model_validate(content)


def refusal(first_pass: object, **others: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        policy(first_pass, **others)
    return str(refused.value)


def test_every_category_with_a_rule_gets_the_score_to_stay_below() -> None:
    first = policy({"clear_below": WHOLE}).instructions.first_pass
    assert first is not None
    assert dict(first.clear_below) == {"child_safety": 0.05, "weapons": 0.1, "alcohol": 0.1}


@pytest.mark.parametrize(
    ("asked", "tokens"),
    [({}, 64), ({"vision_tokens": 100}, 100), ({"engine": "smaller"}, 256)],
    ids=["same engine", "chosen", "smaller engine"],
)
def test_the_same_engine_looks_with_few_tokens_and_a_smaller_one_with_all(asked: dict[str, Any], tokens: int) -> None:
    first = policy({"clear_below": WHOLE, **asked}).instructions.first_pass
    assert first is not None
    assert first.vision_tokens == tokens


def test_rules_and_prompt_stay_as_they_are() -> None:
    plain, first = policy(), policy({"clear_below": WHOLE})
    assert first.hash == plain.hash
    assert first.instructions.categories == plain.instructions.categories
    assert first.instructions != plain.instructions


@pytest.mark.parametrize("clear_below", [0.1, {"default": 0.1}, {"weapons": 0.1, "alcohol": 0.1}])
def test_child_safety_needs_an_entry_of_its_own(clear_below: object) -> None:
    problem = refusal({"clear_below": clear_below})
    assert "first_pass.clear_below" in problem
    assert "child_safety has no entry of its own, and neither a single number nor default covers it" in problem


def test_every_category_needs_an_entry_or_the_default() -> None:
    assert "neither weapons nor default has an entry" in refusal({"clear_below": {"child_safety": 0.1, "alcohol": 0.1}})


@pytest.mark.parametrize(
    ("clear_below", "place"),
    [
        ({"default": 0.2, "child_safety": 0.05}, "first_pass.clear_below.default"),
        ({**WHOLE, "weapons": 0.2}, "first_pass.clear_below.weapons"),
        ({**WHOLE, "child_safety": 0.3}, "first_pass.clear_below.child_safety"),
    ],
)
def test_what_is_cleared_must_be_below_every_threshold_of_its_category(
    clear_below: dict[str, float], place: str
) -> None:
    problem = refusal({"clear_below": clear_below})
    assert place in problem
    assert "is not below the lowest threshold of" in problem


def test_a_category_without_a_rule_is_a_typing_mistake() -> None:
    assert "the policy has no rule for this category" in refusal({"clear_below": {**WHOLE, "weapon": 0.1}})


def test_nothing_is_cleared_below_zero_which_measures_both_passes() -> None:
    first = policy({"clear_below": {"default": 0, "child_safety": 0}}).instructions.first_pass
    assert first is not None
    assert {below for _, below in first.clear_below} == {0.0}


def test_as_many_tokens_as_the_full_pass_would_save_nothing() -> None:
    assert "it saves something only with fewer" in refusal({"clear_below": WHOLE, "vision_tokens": 256})
    assert "it saves something only with fewer" in refusal({"clear_below": WHOLE}, vision_tokens=64)


def test_a_smaller_engine_cannot_see_more_than_is_decoded() -> None:
    problem = refusal({"engine": "smaller", "clear_below": WHOLE, "vision_tokens": 300})
    assert "the first pass can have no more" in problem
