"""The crosswalk from verdicts to OpenAI's categories."""

from typing import Any

import pytest
from openai.types import moderation as openai_types

from schemas.example_files import read_examples
from schemas.registry import VERDICT_V1
from schemas.verdict import ReasonV1, VerdictV1
from service.api.openai.moderation_answer import OPENAI_CATEGORIES, SOURCES, ModerationResult, result_of
from service.policy.decide import decide
from service.policy.policy import CategoryRule, Policy
from service.policy.taxonomy import CATEGORIES, CHILD_SAFETY, NAMES

EXAMPLE = VerdictV1.model_validate(read_examples(VERDICT_V1)["allow"])


def judged(scores: dict[str, float], **rules: CategoryRule) -> VerdictV1:
    """Return the verdict of a policy that sends everything to review at 0.5 and blocks at 0.9."""
    usual = {name: CategoryRule(review=0.5, block=0.9) for name in NAMES}
    policy = Policy(name="p", version="1", categories=usual | rules)
    result = decide(policy, scores, set())
    found = {name: getattr(result, name) for name in ("status", "decision", "deciding_category", "reasons")}
    return EXAMPLE.model_copy(update={"scores": scores, "not_covered": result.not_covered, **found})


def true_of(result: ModerationResult) -> set[str]:
    return {name for name, is_true in result.categories.items() if is_true}


def test_results_have_exactly_the_fields_of_the_official_client() -> None:
    result = result_of((), texts=1).model_dump()
    assert result.keys() - {"modstream"} == openai_types.Moderation.model_fields.keys()
    for field in ("categories", "category_scores", "category_applied_input_types"):
        model: Any = openai_types.Moderation.model_fields[field].annotation
        names = {field.alias or name for name, field in model.model_fields.items()}
        assert result[field].keys() == names == set(OPENAI_CATEGORIES)


def test_every_category_of_openai_has_a_source_in_the_taxonomy() -> None:
    assert all(SOURCES[name] for name in OPENAI_CATEGORIES)
    assert {name for category in CATEGORIES for name in category.crosswalk.openai} == set(OPENAI_CATEGORIES)


@pytest.mark.parametrize("category", CATEGORIES, ids=lambda category: category.name)
def test_each_category_flags_exactly_its_counterparts(category: Any) -> None:
    result = result_of([judged({category.name: 0.95})], texts=0)
    assert result.flagged
    assert true_of(result) == set(category.crosswalk.openai)
    assert result.modstream.flagged_by.keys() == {category.name}
    assert set(result.modstream.flagged_by[category.name]) == set(category.crosswalk.openai)
    assert {name for name, score in result.category_scores.items() if score} == set(category.crosswalk.openai)


def test_the_highest_score_of_several_categories_counts() -> None:
    result = result_of([judged({"sexual_explicit": 0.2, "nudity_nonexplicit": 0.7})], texts=0)
    assert result.category_scores["sexual"] == 0.7
    assert result.categories["sexual"]


def test_a_score_below_the_thresholds_is_shown_and_not_flagged() -> None:
    result = result_of([judged({"violence": 0.49})], texts=0)
    assert (result.flagged, result.category_scores["violence"], result.modstream.decision) == (False, 0.49, "allow")


def test_a_label_is_no_flag() -> None:
    result = result_of([judged({"weapons": 0.3}, weapons=CategoryRule(label=0.2, review=0.5))], texts=0)
    assert [reason.decision for verdict in result.modstream.verdicts for reason in verdict.reasons] == ["allow"]
    assert (result.flagged, true_of(result), result.modstream.flagged_by) == (False, set(), {})


def test_a_category_of_the_policy_itself_flags_without_a_counterpart() -> None:
    rule = CategoryRule.model_validate({"review": 0.5, "definition": {"means": "sleeping people"}})
    result = result_of([judged({"sleep": 0.6}, sleep=rule)], texts=0)
    assert (result.flagged, true_of(result), result.modstream.flagged_by) == (True, set(), {"sleep": ()})


def test_a_category_that_is_not_covered_is_named_and_its_score_applies_to_nothing() -> None:
    result = result_of([judged({"violence": 0.1, "weapons": 0.1})], texts=0)
    assert set(result.modstream.not_covered) == set(OPENAI_CATEGORIES) - {"violence", "illicit/violent"}
    assert result.modstream.partly_covered == {
        "violence": ("animal_cruelty",),
        "illicit/violent": ("illegal_activity",),
    }
    assert result.category_applied_input_types["violence"] == ("image",)
    assert result.category_applied_input_types["hate"] == ()


def test_an_engine_that_covers_all_leaves_nothing_out() -> None:
    result = result_of([judged(dict.fromkeys(NAMES, 0.1))], texts=0)
    assert (result.modstream.not_covered, result.modstream.partly_covered) == ((), {})


def test_of_several_images_the_worst_counts_wherever_it_stands() -> None:
    calm, bad = judged({"violence": 0.1, CHILD_SAFETY: 0.0}), judged({"violence": 0.95, CHILD_SAFETY: 0.0})
    for verdicts in ([calm, bad], [bad, calm]):
        result = result_of(verdicts, texts=0)
        assert (result.flagged, result.modstream.decision) == (True, "block")
        assert (result.category_scores["violence"], true_of(result)) == (0.95, {"violence"})
        assert result.modstream.verdicts == tuple(verdicts)


def test_an_image_to_block_outweighs_one_to_review() -> None:
    result = result_of([judged({"violence": 0.95}), judged({"violence": 0.6})], texts=0)
    assert result.modstream.decision == "block"


def test_an_image_that_no_model_judged_is_flagged_by_the_precaution_and_covers_nothing() -> None:
    reason = ReasonV1(code="answer_off_form", decision="review", message="No model judged the image")
    unjudged = EXAMPLE.model_copy(
        update={"status": "not_moderated", "decision": "review", "scores": {}, "not_covered": NAMES}
        | {"reasons": (reason,), "deciding_category": None}
    )
    result = result_of([unjudged], texts=0)
    assert (result.flagged, true_of(result), result.modstream.flagged_by) == (True, set(), {})
    assert result.modstream.not_covered == OPENAI_CATEGORIES

    beside_another = result_of([judged({"violence": 0.1}), unjudged], texts=0)
    assert beside_another.flagged
    assert beside_another.modstream.partly_covered["violence"] == ("violence", "animal_cruelty")


def test_text_alone_is_marked_as_not_judged() -> None:
    result = result_of((), texts=2)
    assert not result.flagged
    assert result.modstream.decision is None
    assert result.modstream.not_covered == OPENAI_CATEGORIES
    assert result.modstream.text is not None
    assert (result.modstream.text.status, result.modstream.text.parts) == ("not_judged", 2)
