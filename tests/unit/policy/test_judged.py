from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.example_files import read_examples
from schemas.registry import VERDICT_V1
from schemas.verdict import FrameScoresV1, VerdictV1
from service.policy.errors import UnusableScoresError
from service.policy.judged import JudgedFrame, JudgedImage, decide_image, deciding_views
from service.policy.policy import CategoryRule, Policy
from service.policy.taxonomy import CHILD_SAFETY, NAMES
from tests.unit.policy.policies import CHILD_RULE, features, names, policies, shares

SEVERITY = {"allow": 0, "review": 1, "block": 2}
VERDICT = VerdictV1.model_validate(read_examples(VERDICT_V1)["allow"])


@st.composite
def images(draw: st.DrawFn) -> JudgedImage:
    covered = sorted(draw(st.sets(st.sampled_from(NAMES), min_size=1)))
    each = st.fixed_dictionaries(dict.fromkeys(covered, shares))
    asked = st.frozensets(st.sampled_from(covered))
    frames = draw(st.lists(st.builds(JudgedFrame, each, asked), max_size=5))
    unjudged = draw(st.sampled_from((None, "answer_off_form")))
    return JudgedImage(tuple(frames), draw(names), unjudged, draw(features))


def frames(*scores: float) -> JudgedImage:
    return JudgedImage(tuple(JudgedFrame({"weapons": score}) for score in scores))


def asking_for(count: int) -> Policy:
    rules = {CHILD_SAFETY: CHILD_RULE, "weapons": CategoryRule(review=0.5, block=0.9, frames=count)}
    return Policy(name="p", version="1", categories=rules)


@pytest.mark.parametrize(
    ("count", "scores", "decision"),
    [
        (1, (0.1, 0.95, 0.2), "block"),
        (2, (0.1, 0.95, 0.2), "allow"),
        (2, (0.6, 0.95, 0.2), "review"),
        (3, (0.6, 0.95, 0.2), "allow"),
        (4, (0.6, 0.95, 0.7), "review"),
        (2, (0.95,), "block"),
        (4, (0.9, 0.9, 0.9, 0.9), "block"),
    ],
)
def test_as_many_frames_as_the_rule_asks_for_have_to_reach_a_threshold(
    count: int, scores: tuple[float, ...], decision: str
) -> None:
    decided = decide_image(asking_for(count), frames(*scores))
    assert decided.result.decision == decision
    assert decided.counted is not None
    assert decided.counted.scores["weapons"] == sorted(scores)[-min(count, len(scores))]


def test_a_category_counts_with_all_facts_of_the_frame_that_counts() -> None:
    first = JudgedFrame({"weapons": 0.6, "violence": 0.1}, frozenset({"weapons"}), {"weapons": 0.7, "violence": 0.2})
    second = JudgedFrame({"weapons": 0.8, "violence": 0.3}, frozenset({"violence"}), {"weapons": 0.9, "violence": 0.4})
    counted = decide_image(asking_for(2), JudgedImage((first, second))).counted
    expected = JudgedFrame(
        {"weapons": 0.6, "violence": 0.3}, frozenset({"weapons", "violence"}), {"weapons": 0.7, "violence": 0.4}
    )
    assert counted == expected


def test_of_several_views_of_a_frame_the_highest_score_of_a_category_counts() -> None:
    light, dark = JudgedFrame({"weapons": 0.1, "violence": 0.4}), JudgedFrame({"weapons": 0.7, "violence": 0.2})
    other = JudgedFrame({"weapons": 0.3, "violence": 0.3})
    views = JudgedImage((light, dark, other), ambiguous=frozenset({"truncated"}))
    by_frame = views.by_frame((4, 4, 9))
    assert by_frame.frames == (JudgedFrame({"weapons": 0.7, "violence": 0.4}), other)
    assert by_frame.ambiguous == {"truncated"}


def test_two_views_of_one_frame_are_not_two_frames_that_agree() -> None:
    views = frames(0.95, 0.95, 0.1)
    assert decide_image(asking_for(2), views.by_frame((0, 0, 1))).result.decision == "allow"


@given(policies(), images().filter(lambda image: bool(image.frames)), st.data())
def test_every_score_that_counts_is_that_of_the_view_that_is_named(
    policy: Policy, views: JudgedImage, data: st.DataObject
) -> None:
    count = len(views.frames)
    numbers = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    counted = decide_image(policy, views.by_frame(numbers)).counted
    deciding = deciding_views(policy, views, numbers)
    assert counted is not None
    assert sorted(name for each in deciding for name in each) == sorted(counted.scores)
    for view, categories in zip(views.frames, deciding, strict=True):
        assert {name: view.scores[name] for name in categories} == {name: counted.scores[name] for name in categories}


def test_an_image_without_frames_is_not_moderated() -> None:
    decided = decide_image(asking_for(1), JudgedImage((), unjudged="answer_off_form"))
    assert (decided.counted, decided.result.status) == (None, "not_moderated")
    assert decided.result.reasons[0].code == "answer_off_form"


@pytest.mark.parametrize(
    ("scores", "covers", "detail"),
    [
        ({"weapons": 0.1}, {"weapons", "violence"}, "differ in violence"),
        ({"weapons": 0.1, "violence": 0.1}, {"weapons"}, "differ in violence"),
        ({"weapons": float("nan")}, {"weapons"}, "no probability: weapons"),
    ],
)
def test_frames_that_are_not_what_the_engine_covers_are_an_error(
    scores: Mapping[str, float], covers: set[str], detail: str
) -> None:
    image = JudgedImage((JudgedFrame(dict.fromkeys(covers, 0.9)), JudgedFrame(scores)))
    with pytest.raises(UnusableScoresError, match=detail):
        image.check(covers)


def verdict_of(policy: Policy, image: JudgedImage) -> VerdictV1:
    decided = decide_image(policy, image)
    counted = decided.counted or JudgedFrame({})
    frames = [
        FrameScoresV1(scores=dict(each.scores), asked=tuple(each.asked), uncalibrated=each.uncalibrated)
        for each in image.frames
    ]
    return VERDICT.model_copy(
        update={
            "status": decided.result.status,
            "decision": decided.result.decision,
            "reasons": decided.result.reasons,
            "scores": counted.scores,
            "asked": tuple(counted.asked),
            "hints": tuple(image.hints & counted.scores.keys()),
            "ambiguous": tuple(sorted(image.ambiguous)),
            "frames": tuple(frames) if len(frames) > 1 else (),
        }
    )


@given(policies(), policies(), images())
def test_a_stored_verdict_decides_as_the_image_did(live: Policy, other: Policy, image: JudgedImage) -> None:
    stored = JudgedImage.from_verdict(VerdictV1.model_validate_json(verdict_of(live, image).model_dump_json()))
    before, after = (decide_image(other, each).result for each in (image, stored))
    if image.frames or image.unjudged:
        assert after == before
    else:
        assert after.decision == before.decision


@pytest.mark.parametrize(
    ("verdict", "odd"),
    [
        ({"frames": (FrameScoresV1(scores={"weapons": 0.1}), FrameScoresV1(scores={}))}, "weapons"),
        ({"frames": (FrameScoresV1(scores={"weapons": 0.1, "violence": 0.9}),)}, "violence"),
        ({"uncalibrated": {"violence": 0.9}}, "violence, weapons"),
    ],
)
def test_a_stored_verdict_whose_frames_differ_in_categories_is_refused(verdict: dict[str, object], odd: str) -> None:
    stored = VERDICT.model_copy(update={"scores": {"weapons": 0.1}, "frames": (), "uncalibrated": None} | verdict)
    with pytest.raises(UnusableScoresError, match=f"differ in {odd}"):
        JudgedImage.from_verdict(stored)


@pytest.mark.parametrize("scores", [{}, {"unknown_to_the_policy": 1.0}])
def test_a_stored_verdict_without_a_score_is_decided_as_not_moderated(scores: dict[str, float]) -> None:
    stored = VERDICT.model_copy(update={"status": "moderated", "scores": scores, "frames": (), "uncalibrated": None})
    policy = asking_for(1).model_copy(update={"when_not_moderated": "review"})
    result = decide_image(policy, JudgedImage.from_verdict(stored)).result
    assert (result.status, result.decision) == ("not_moderated", "review")


@given(policies(), images())
def test_every_image_has_a_decision_with_its_reasons(policy: Policy, image: JudgedImage) -> None:
    decided = decide_image(policy, image)
    assert decided.result.status == ("moderated" if image.frames else "not_moderated")
    assert SEVERITY[decided.result.decision] == max((SEVERITY[r.decision] for r in decided.result.reasons), default=0)


@given(policies(), images().filter(lambda image: bool(image.frames)), st.data())
def test_a_higher_score_of_any_frame_never_gives_a_milder_decision(
    policy: Policy, image: JudgedImage, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(image.frames) - 1))
    frame = image.frames[at]
    name = data.draw(st.sampled_from(sorted(frame.scores)))
    raised = JudgedFrame({**frame.scores, name: max(frame.scores[name], data.draw(shares))})
    changed = replace(image, frames=(*image.frames[:at], raised, *image.frames[at + 1 :]))
    before, after = (decide_image(policy, each).result.decision for each in (image, changed))
    assert SEVERITY[after] >= SEVERITY[before]


@given(policies(), images().filter(lambda image: bool(image.frames)))
def test_asking_for_more_frames_never_gives_a_graver_decision(policy: Policy, image: JudgedImage) -> None:
    worst = {name: rule.model_copy(update={"frames": 1}) for name, rule in policy.categories.items()}
    strict, asked = (
        decide_image(each, image).result.decision for each in (policy.model_copy(update={"categories": worst}), policy)
    )
    assert SEVERITY[asked] <= SEVERITY[strict]
