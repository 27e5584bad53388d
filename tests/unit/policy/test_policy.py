import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.core.ambiguity import FEATURES
from service.policy.policy import CategoryRule, Policy
from service.policy.taxonomy import CHILD_SAFETY
from tests.unit.policy.policies import CHILD_RULE, policies


def build(**content: Any) -> Policy:
    rules = {CHILD_SAFETY: CHILD_RULE} | content.pop("categories", {})
    return Policy.model_validate({"name": "test", "version": "1", "categories": rules} | content)


def test_unknown_category_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(
        ValidationError, match=r"unknown category; known are child_safety, .*your own needs a definition"
    ):
        build(categories={"weapon": {"review": 0.5}})


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"review": 0.6, "block": 0.5}, r"the threshold for review \(0.6\) is above the threshold for block \(0.5\)"),
        ({"label": 0.6, "review": 0.5}, r"the threshold for label \(0.6\) is above the threshold for review \(0.5\)"),
        ({"label": 0.6, "block": 0.5}, r"the threshold for label \(0.6\) is above the threshold for block \(0.5\)"),
        ({"review": 1.1}, "less than or equal to 1"),
        ({"review": float("nan")}, "finite"),
        ({"reveiw": 0.5}, "Extra inputs are not permitted"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        build(categories={"weapons": rule})


@pytest.mark.parametrize("rule", [{}, {"block": 0.1}, {"review": 0.6}])
def test_no_policy_lets_child_safety_pass(rule: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=r"child_safety needs a threshold for review of at most 0\.5"):
        build(categories={CHILD_SAFETY: rule})


def test_hash_ignores_what_is_no_rule() -> None:
    spoken = build(name="other", version="2", description="words", categories={"weapons": {}, "alcohol": {"label": 1}})
    assert spoken.hash == build(categories={"alcohol": CategoryRule(label=1.0)}).hash


@pytest.mark.parametrize(
    "asked",
    [
        {"language": "zh"},
        {"adapter": "shop"},
        {"vision_tokens": 1024},
        {"attributes": None},
        {"categories": {"weapons": {"definition": {"means": "a sword", "label": "S"}}}},
    ],
)
def test_hash_ignores_what_an_engine_is_asked(asked: dict[str, Any]) -> None:
    assert build(**asked).hash == build().hash


def test_hash_is_the_checksum_of_canonical_json() -> None:
    # Written out, as consumers compare hashes across versions of this service.
    canonical = b'{"categories":{"child_safety":{"block":0.8,"review":0.1}},"when_not_moderated":"review"}'
    assert build().hash == hashlib.sha256(canonical).hexdigest()


def test_the_hash_counts_what_is_said_about_features_where_it_is_not_the_default() -> None:
    plain = {build(ambiguous=each).hash for each in ("review", {"default": "review"}, {"truncated": "review"})}
    assert plain == {build().hash}
    others = [build(ambiguous=each).hash for each in ("allow", "block", {"truncated": "allow"}, {"opacity": "allow"})]
    assert len({*others, *plain}) == 5


def test_an_unknown_feature_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValidationError, match=r"no feature has this name; known are default, animation_control"):
        build(ambiguous={"trunctated": "allow"})


def reported(policy: Policy) -> tuple[object, ...]:
    """Return the rules of a policy without what says nothing."""
    rules = {name: (dict(rule.thresholds()), rule.frames) for name, rule in policy.categories.items()}
    features = {name: policy.decision_on(name) for name in ("of_a_newer_version", *FEATURES)}
    return policy.when_not_moderated, features, {name: rule for name, rule in rules.items() if rule[0]}


def test_the_hash_of_a_rule_that_asks_for_one_frame_is_as_before_there_was_a_choice() -> None:
    one, two = (build(categories={"weapons": {"review": 0.5, "frames": frames}}).hash for frames in (1, 2))
    assert one == build(categories={"weapons": {"review": 0.5}}).hash
    assert two != one


def test_the_worst_frame_decides_about_the_gravest_category() -> None:
    with pytest.raises(ValidationError, match="frames must be 1"):
        build(categories={"child_safety": {"review": 0.1, "frames": 2}})


@given(policies(), policies())
def test_hash_differs_exactly_when_rules_differ(one: Policy, other: Policy) -> None:
    assert (one.hash == other.hash) == (reported(one) == reported(other))


@given(policies(), st.data())
def test_hash_notices_any_one_changed_threshold(policy: Policy, data: st.DataObject) -> None:
    category = data.draw(st.sampled_from(sorted(policy.categories)))
    rule = policy.categories[category]
    changed = rule.model_copy(update={"review": (rule.review or 0.0) / 2 + 0.001})
    other = policy.model_copy(update={"categories": {**policy.categories, category: changed}})
    assert (changed == rule) == (Policy.model_construct(**dict(other)).hash == policy.hash)
