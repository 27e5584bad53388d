import dataclasses
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.policy.decide import DecisionResult, decide
from service.policy.definitions import Definition
from service.policy.errors import UnusableScoresError
from service.policy.policy import CategoryRule, Policy
from service.policy.taxonomy import CHILD_SAFETY, NAMES
from tests.unit.policy.policies import CHILD_RULE, features, names, policies, scores, shares

SEVERITY = {"allow": 0, "review": 1, "block": 2}

POLICY = Policy(
    name="test",
    version="1",
    categories={
        CHILD_SAFETY: CHILD_RULE,
        "sexual_explicit": CategoryRule(review=0.4, block=0.8),
        "violence": CategoryRule(review=0.5, block=0.9),
        "weapons": CategoryRule(label=0.2, review=0.4),
        "alcohol": CategoryRule(label=0.2),
    },
)

OWN = Policy(
    name="own",
    version="1",
    categories={
        "rival_brand": CategoryRule(block=0.8, definition=Definition(means="the brand of a rival")),
        CHILD_SAFETY: CHILD_RULE,
        "dull_photo": CategoryRule(label=0.5, definition=Definition(means="a photo that is dull")),
        "weapons": CategoryRule(review=0.4),
    },
)


def apply(judged: Mapping[str, float], *, hints: frozenset[str] = frozenset()) -> DecisionResult:
    return decide(POLICY, judged, hints)


def test_scores_under_every_threshold_are_a_plain_allow() -> None:
    result = apply({"violence": 0.49, "weapons": 0.1})
    assert (result.status, result.decision, result.deciding_category, result.reasons) == (
        "moderated",
        "allow",
        None,
        (),
    )


@pytest.mark.parametrize(
    ("score", "decision"), [(0.39, "allow"), (0.4, "review"), (0.79, "review"), (0.8, "block"), (1.0, "block")]
)
def test_a_threshold_is_reached_by_a_score_at_or_over_it(score: float, decision: str) -> None:
    assert apply({"sexual_explicit": score}).decision == decision


def test_the_gravest_decision_wins_over_the_clearest() -> None:
    result = apply({"sexual_explicit": 0.81, "weapons": 1.0})
    assert (result.decision, result.deciding_category) == ("block", "sexual_explicit")


def test_among_equals_the_widest_margin_decides() -> None:
    assert apply({"sexual_explicit": 0.5, "weapons": 0.7}).deciding_category == "weapons"
    assert apply({"sexual_explicit": 0.5, "violence": 0.55}).deciding_category == "sexual_explicit"


def test_at_one_margin_the_taxonomys_order_decides() -> None:
    assert apply({"weapons": 0.4, "sexual_explicit": 0.4}).deciding_category == "sexual_explicit"


def test_a_label_is_a_reason_and_no_obstacle() -> None:
    result = apply({"alcohol": 0.9})
    assert (result.decision, result.deciding_category) == ("allow", None)
    assert [(reason.category, reason.decision, reason.threshold) for reason in result.reasons] == [
        ("alcohol", "allow", 0.2)
    ]


def test_reasons_say_what_was_compared_gravest_first() -> None:
    result = apply({"weapons": 0.3, "sexual_explicit": 0.9, "violence": 0.5})
    assert [(reason.category, reason.decision) for reason in result.reasons] == [
        ("sexual_explicit", "block"),
        ("violence", "review"),
        ("weapons", "allow"),
    ]
    assert result.reasons[0].code == "score_over_threshold"
    assert (result.reasons[0].score, result.reasons[0].threshold) == (0.9, 0.8)
    assert result.reasons[0].message == "sexual_explicit 0.90 reaches 0.80: block"


def test_a_hint_is_sent_to_review_and_says_why_it_does_not_block() -> None:
    result = apply({"sexual_explicit": 0.9}, hints=frozenset({"sexual_explicit"}))
    assert result.decision == "review"
    assert result.reasons[0].message.endswith("review, as the engine only hints at this category")


@pytest.mark.parametrize("nothing", [None, {}])
@pytest.mark.parametrize("precaution", ["allow", "review", "block"])
def test_an_unjudged_image_says_so(nothing: None, precaution: str) -> None:
    policy = POLICY.model_copy(update={"when_not_moderated": precaution})
    result = decide(policy, nothing, frozenset())
    assert (result.status, result.decision, result.not_covered) == ("not_moderated", precaution, NAMES)
    assert [(reason.code, reason.decision) for reason in result.reasons] == [("engine_does_not_judge", precaution)]


@pytest.mark.parametrize("score", [1.1, -0.1, float("nan"), float("inf")])
def test_a_score_that_is_no_probability_is_an_error(score: float) -> None:
    with pytest.raises(UnusableScoresError, match="no probability: weapons"):
        apply({"violence": 0.1, "weapons": score})


def test_scores_that_the_policy_does_not_know_are_ignored() -> None:
    assert apply({"rival_brand": 1.0, "weapons": 0.1}).decision == "allow"


@given(policies(), scores, names)
def test_every_input_has_an_outcome_with_its_reasons(
    policy: Policy, judged: dict[str, float], hints: frozenset[str]
) -> None:
    result = decide(policy, judged, hints)
    assert result.status == "moderated"
    assert SEVERITY[result.decision] == max((SEVERITY[reason.decision] for reason in result.reasons), default=0)
    assert (result.deciding_category is None) == (result.decision == "allow")


@given(policies(), scores, names, st.data())
def test_a_higher_score_never_softens_the_decision(
    policy: Policy, judged: dict[str, float], hints: frozenset[str], data: st.DataObject
) -> None:
    category = data.draw(st.sampled_from(sorted(judged)))
    raised = judged | {category: max(judged[category], data.draw(shares))}
    before, after = (decide(policy, each, hints).decision for each in (judged, raised))
    assert SEVERITY[after] >= SEVERITY[before]


@given(policies(), scores)
def test_what_is_only_hinted_at_never_blocks(policy: Policy, judged: dict[str, float]) -> None:
    assert decide(policy, judged, judged.keys()).decision != "block"


@given(policies(), scores, names)
def test_a_hint_never_decides_more_gravely_than_a_judgement(
    policy: Policy, judged: dict[str, float], hints: frozenset[str]
) -> None:
    hinted, judgement = (decide(policy, judged, each).decision for each in (hints, frozenset()))
    assert SEVERITY[hinted] <= SEVERITY[judgement]


@given(policies(), scores, names)
def test_categories_are_either_scored_or_listed_as_not_covered(
    policy: Policy, judged: dict[str, float], hints: frozenset[str]
) -> None:
    result = decide(policy, judged, hints)
    assert set(result.not_covered) | judged.keys() == set(policy.names)
    assert not set(result.not_covered) & judged.keys()


@given(policies(), st.floats(0.1, 1.0), st.booleans())
def test_child_safety_over_its_threshold_is_never_allowed(policy: Policy, score: float, is_hint: bool) -> None:
    hints = frozenset({CHILD_SAFETY}) if is_hint else frozenset()
    assert decide(policy, {CHILD_SAFETY: score}, hints).decision != "allow"


def test_own_categories_decide_as_the_taxonomys_do() -> None:
    result = decide(OWN, {"weapons": 0.5, "rival_brand": 0.9}, frozenset())
    assert (result.decision, result.deciding_category) == ("block", "rival_brand")


def test_own_categories_that_no_one_looked_at_are_named_after_the_taxonomys() -> None:
    result = decide(OWN, {"weapons": 0.5}, frozenset())
    assert result.not_covered == (*(name for name in NAMES if name != "weapons"), "rival_brand", "dull_photo")


def test_an_unjudged_image_lacks_own_categories_too() -> None:
    assert decide(OWN, None, frozenset()).not_covered == (*NAMES, "rival_brand", "dull_photo")


def test_results_cannot_be_changed_afterwards() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        apply({"weapons": 0.1}).decision = "block"  # type: ignore[misc] # the error is the point


@pytest.mark.parametrize("feature", ["truncated", "of_a_newer_version"])
def test_an_image_that_viewers_may_show_otherwise_goes_to_review(feature: str) -> None:
    result = decide(POLICY, {"weapons": 0.0}, frozenset(), ambiguous={feature})
    assert (result.status, result.decision, result.deciding_category) == ("moderated", "review", None)
    assert [(each.code, each.feature, each.category, each.decision) for each in result.reasons] == [
        ("image.ambiguous", feature, None, "review")
    ]


def test_a_policy_decides_about_each_feature() -> None:
    policy = Policy(name="p", version="1", ambiguous={"truncated": "allow"}, categories=POLICY.categories)
    truncated, both = (
        decide(policy, {"weapons": 0.0}, frozenset(), ambiguous=each)
        for each in ({"truncated"}, {"truncated", "thumbnail"})
    )
    assert (truncated.decision, [each.decision for each in truncated.reasons]) == ("allow", ["allow"])
    assert (both.decision, [each.feature for each in both.reasons]) == ("review", ["thumbnail", "truncated"])


def test_where_a_score_calls_for_as_much_the_score_decides() -> None:
    equal = decide(POLICY, {"weapons": 0.4}, frozenset(), ambiguous={"truncated"})
    graver = decide(POLICY, {"sexual_explicit": 0.9}, frozenset(), ambiguous={"truncated"})
    assert (equal.decision, equal.deciding_category) == ("review", "weapons")
    assert (graver.decision, graver.deciding_category) == ("block", "sexual_explicit")
    assert [each.feature for each in graver.reasons] == [None, "truncated"]


def test_where_a_feature_calls_for_more_no_category_decides() -> None:
    policy = Policy(name="p", version="1", ambiguous="block", categories=POLICY.categories)
    result = decide(policy, {"weapons": 0.5}, frozenset(), ambiguous={"truncated"})
    assert (result.decision, result.deciding_category) == ("block", None)
    assert [each.category for each in result.reasons] == [None, "weapons"]


def test_an_image_that_was_not_judged_is_no_matter_of_its_features() -> None:
    policy = Policy(name="p", version="1", when_not_moderated="allow", categories=POLICY.categories)
    result = decide(policy, None, frozenset(), ambiguous={"truncated"})
    assert (result.decision, [each.code for each in result.reasons]) == ("allow", ["engine_does_not_judge"])


@given(policies(), scores, names, features, features)
def test_a_further_feature_never_gives_a_milder_decision(
    policy: Policy, judged: dict[str, float], hints: frozenset[str], some: frozenset[str], more: frozenset[str]
) -> None:
    before, after = (decide(policy, judged, hints, ambiguous=each).decision for each in (some, some | more))
    assert SEVERITY[after] >= SEVERITY[before]
