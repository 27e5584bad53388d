import dataclasses
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.policy.decide import DecisionResult, decide, worst_of
from service.policy.definitions import Definition
from service.policy.errors import UnusableScoresError
from service.policy.policy import CategoryRule, Policy
from service.policy.taxonomy import CHILD_SAFETY, NAMES
from tests.unit.policy.policies import CHILD_RULE, names, policies, scores, shares

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
    return decide(POLICY, judged, judged.keys(), hints)


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
    result = decide(policy, nothing, frozenset(), frozenset())
    assert (result.status, result.decision, result.not_covered) == ("not_moderated", precaution, NAMES)
    assert [(reason.code, reason.decision) for reason in result.reasons] == [("engine_does_not_judge", precaution)]


@pytest.mark.parametrize(
    ("judged", "covers", "detail"),
    [
        ({"weapons": 0.1}, {"weapons", "violence"}, "differ in violence"),
        ({"weapons": 0.1, "violence": 0.1}, {"weapons"}, "differ in violence"),
        ({"weapon": 0.1}, {"weapon"}, "neither in the taxonomy nor in the policy: weapon"),
        ({"weapons": 1.1}, {"weapons"}, "no probability: weapons"),
        ({"weapons": -0.1}, {"weapons"}, "no probability: weapons"),
        ({"weapons": float("nan")}, {"weapons"}, "no probability: weapons"),
    ],
)
def test_scores_that_cannot_be_judged_by_are_an_error(judged: dict[str, float], covers: set[str], detail: str) -> None:
    with pytest.raises(UnusableScoresError, match=detail):
        decide(POLICY, judged, covers, frozenset())


def test_the_worst_frame_counts_in_each_category() -> None:
    assert worst_of([{"weapons": 0.1, "violence": 0.9}, {"weapons": 0.8, "violence": 0.2}]) == {
        "weapons": 0.8,
        "violence": 0.9,
    }


@pytest.mark.parametrize("frames", [[], [None], [{"weapons": 0.1}, None]])
def test_an_unjudged_frame_leaves_the_image_unjudged(frames: list[dict[str, float] | None]) -> None:
    assert worst_of(frames) is None


def test_a_maximum_does_not_hide_a_broken_score() -> None:
    with pytest.raises(UnusableScoresError):
        worst_of([{"weapons": 0.5}, {"weapons": float("nan")}])


@given(policies(), scores, names)
def test_every_input_has_an_outcome_with_its_reasons(
    policy: Policy, judged: dict[str, float], hints: frozenset[str]
) -> None:
    result = decide(policy, judged, judged.keys(), hints)
    assert result.status == "moderated"
    assert SEVERITY[result.decision] == max((SEVERITY[reason.decision] for reason in result.reasons), default=0)
    assert (result.deciding_category is None) == (result.decision == "allow")


@given(policies(), scores, names, st.data())
def test_a_higher_score_never_softens_the_decision(
    policy: Policy, judged: dict[str, float], hints: frozenset[str], data: st.DataObject
) -> None:
    category = data.draw(st.sampled_from(sorted(judged)))
    raised = judged | {category: max(judged[category], data.draw(shares))}
    before, after = (decide(policy, each, each.keys(), hints).decision for each in (judged, raised))
    assert SEVERITY[after] >= SEVERITY[before]


@given(policies(), scores)
def test_what_is_only_hinted_at_never_blocks(policy: Policy, judged: dict[str, float]) -> None:
    assert decide(policy, judged, judged.keys(), judged.keys()).decision != "block"


@given(policies(), scores, names)
def test_a_hint_never_decides_more_gravely_than_a_judgement(
    policy: Policy, judged: dict[str, float], hints: frozenset[str]
) -> None:
    hinted, judgement = (decide(policy, judged, judged.keys(), each).decision for each in (hints, frozenset()))
    assert SEVERITY[hinted] <= SEVERITY[judgement]


@given(policies(), scores, names)
def test_categories_are_either_scored_or_listed_as_not_covered(
    policy: Policy, judged: dict[str, float], hints: frozenset[str]
) -> None:
    result = decide(policy, judged, judged.keys(), hints)
    assert set(result.not_covered) | judged.keys() == set(policy.names)
    assert not set(result.not_covered) & judged.keys()


@given(policies(), st.floats(0.1, 1.0), st.booleans())
def test_child_safety_over_its_threshold_is_never_allowed(policy: Policy, score: float, is_hint: bool) -> None:
    hints = frozenset({CHILD_SAFETY}) if is_hint else frozenset()
    assert decide(policy, {CHILD_SAFETY: score}, {CHILD_SAFETY}, hints).decision != "allow"


@given(st.lists(scores, min_size=1))
def test_more_frames_never_lower_a_score(frames: list[dict[str, float]]) -> None:
    worst = worst_of(frames) or {}
    assert all(worst[name] >= score for frame in frames for name, score in frame.items())


def test_own_categories_decide_as_the_taxonomys_do() -> None:
    result = decide(OWN, {"weapons": 0.5, "rival_brand": 0.9}, {"weapons", "rival_brand"}, frozenset())
    assert (result.decision, result.deciding_category) == ("block", "rival_brand")


def test_own_categories_that_no_one_looked_at_are_named_after_the_taxonomys() -> None:
    result = decide(OWN, {"weapons": 0.5}, {"weapons"}, frozenset())
    assert result.not_covered == (*(name for name in NAMES if name != "weapons"), "rival_brand", "dull_photo")


def test_an_unjudged_image_lacks_own_categories_too() -> None:
    assert decide(OWN, None, frozenset(), frozenset()).not_covered == (*NAMES, "rival_brand", "dull_photo")


def test_results_cannot_be_changed_afterwards() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        apply({"weapons": 0.1}).decision = "block"  # type: ignore[misc] # the error is the point
