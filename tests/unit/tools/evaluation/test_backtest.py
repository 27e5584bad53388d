from pathlib import Path
from typing import Any

import pytest

from schemas.verdict import VerdictV1
from service.policy.definitions import Definition
from service.policy.judged import JudgedImage, decide_image
from service.policy.policy import CategoryRule, Policy
from service.policy.taxonomy import CHILD_SAFETY
from service.tools.evaluation.backtest.backtest import BacktestQuestion, backtest
from service.tools.evaluation.backtest.decided_verdicts import decided
from service.tools.evaluation.backtest.unusable_scores import StoredScoresError
from tests.unit.tools.evaluation.decided_before import NEW, OLD, judged, kinds, opened, result_of, weapons
from tests.unit.tools.evaluation.judged_images import images


def test_stored_verdicts_are_decided_as_the_service_decides(tmp_path: Path) -> None:
    policy = NEW.model_copy(
        update={
            "ambiguous": {"default": "review", "truncated": "allow", "opacity": "block"},
            "categories": {
                **NEW.categories,
                "own": CategoryRule(block=0.3, frames=2, definition=Definition(means="x")),
            },
        }
    )
    documents = []
    for number, image in enumerate(images(policy, rows=2000, seed=4)):
        frames: list[Any] = [{"scores": frame.scores, "asked": [], "uncalibrated": None} for frame in image.frames]
        names = frames[0]["scores"] if frames else ()
        scores = {name: max(each["scores"][name] for each in frames) for name in names}
        status = "moderated" if frames else "not_moderated"
        several = frames if len(frames) > 1 else []
        documents.append(
            judged(
                number,
                scores=scores,
                frames=several,
                hints=sorted(image.hints),
                status=status,
                ambiguous=sorted(image.ambiguous),
            )
        )
    expected = [
        decide_image(policy, JudgedImage.from_verdict(VerdictV1.model_validate(each))).result for each in documents
    ]
    with opened(tmp_path, documents, policy) as connection:
        rows = decided(connection.view("verdicts"), policy)
        found = rows.changes(rows.rows.order("source_offset")).values()
    wrong = [
        (each, result)
        for each, result in zip(found, expected, strict=True)
        if (each.after, each.category_after) != (result.decision, result.deciding_category)
    ]
    assert wrong == []
    kept = [(each["decision"], each["deciding_category"]) for each in documents]
    assert all((each.before, each.category_before) == old for each, old in zip(found, kept, strict=True))


def test_the_matrix_counts_decisions_before_and_after_with_examples(tmp_path: Path) -> None:
    scores = [0.0, 0.5, 0.55, 0.7, 0.85, 0.95]
    result = result_of(tmp_path, [weapons(number, score) for number, score in enumerate(scores)])
    found = {(cell.before, cell.after): [each.image_id for each in cell.examples] for cell in result.matrix}
    assert {cell: ids for cell, ids in found.items() if ids} == {
        ("allow", "allow"): ["image-0"],
        ("review", "allow"): ["image-2", "image-1"],
        ("review", "review"): ["image-3"],
        ("review", "block"): ["image-4"],
        ("block", "block"): ["image-5"],
    }
    assert len(found) == 9
    assert (result.images, result.changed, result.more_to_review, result.baseline) == (6, 3, -3, "stored decisions")
    assert [(each.name, each.version, each.images) for each in result.stored_policies] == [("shop", "1", 6)]


def test_changes_that_rest_on_what_viewers_may_show_otherwise_are_named_by_their_reason(tmp_path: Path) -> None:
    documents = [weapons(0, 0.0, ambiguous=["truncated"]), weapons(1, 0.0, ambiguous=["opacity"]), weapons(2, 0.95)]
    result = result_of(
        tmp_path, documents, OLD.model_copy(update={"ambiguous": {"default": "review", "opacity": "allow"}})
    )
    groups = {
        each.name: (each.images, each.milder, each.review_before, each.review_after) for each in result.categories
    }
    assert groups == {"image.ambiguous": (2, 1, 2, 1), "weapons": (1, 0, 0, 0)}
    (changed,) = (image for cell in result.matrix for image in cell.examples if cell.before != cell.after)
    assert changed.ambiguous == '["opacity"]'


def test_another_policy_can_be_the_baseline(tmp_path: Path) -> None:
    documents = [weapons(0, 0.5, by=NEW), weapons(1, 0.5, by=OLD)]
    result = result_of(tmp_path, documents, baseline=OLD)
    assert (result.count("review", "allow"), result.count()) == (2, 2)
    assert result.baseline == "shop, version 1"


def test_only_the_named_tenants_count(tmp_path: Path) -> None:
    documents = [weapons(0, 0.5), weapons(1, 0.5, tenant="it's; DROP"), weapons(2, 0.5, tenant="third")]
    result = result_of(tmp_path, documents, tenants={"it's; DROP"})
    assert [each.name for each in result.tenants] == ["it's; DROP"]


def test_tenants_beyond_the_most_changed_are_counted_together(tmp_path: Path) -> None:
    documents = [weapons(0, 0.5, tenant="a"), weapons(1, 0.5, tenant="a"), weapons(2, 0.5, tenant="b")]
    documents += [weapons(number, 0.0, tenant=f"quiet-{number}") for number in range(3, 8)]
    first, second = result_of(tmp_path, documents, groups=1).tenants
    assert (first.name, first.images, first.milder, first.review_before, first.review_after) == ("a", 2, 2, 2, 0)
    assert (second.name, second.images, second.milder, second.stricter) == (None, 6, 1, 0)


def test_a_change_belongs_to_the_category_of_its_graver_side(tmp_path: Path) -> None:
    scores = {CHILD_SAFETY: 0.0, "weapons": 0.5, "gambling": 0.0}
    documents = [
        judged(0, scores=scores),  # weapons sends it to review no more
        judged(1, scores=scores | {"weapons": 0.0, "gambling": 0.6}),  # gambling now does
        judged(2, scores=scores | {"gambling": 0.6}),  # review before and after, by another category
        judged(3, scores=scores | {"weapons": 0.8}),
    ]
    found = {each.name: each for each in result_of(tmp_path, documents).categories}
    guns, bets = found["weapons"], found["gambling"]
    assert (guns.images, guns.stricter, guns.milder, guns.review_before, guns.review_after) == (3, 1, 1, 3, 0)
    assert (guns.block_before, guns.block_after) == (0, 1)
    assert (bets.images, bets.stricter, bets.milder, bets.review_before, bets.review_after) == (2, 1, 0, 0, 2)


def test_the_images_nearest_to_each_threshold_are_found_on_both_sides(tmp_path: Path) -> None:
    result = result_of(tmp_path, [weapons(number, number / 100) for number in range(100)], near=1)
    near = [(each.outcome, each.threshold, each.image.image_id) for each in result.near if each.category == "weapons"]
    assert sorted(near) == [
        ("block", 0.8, "image-79"),
        ("block", 0.8, "image-80"),
        ("review", 0.6, "image-59"),
        ("review", 0.6, "image-60"),
    ]


def test_of_images_that_are_equally_near_the_earlier_offsets_are_listed_and_none_twice(tmp_path: Path) -> None:
    scores = [0.7, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    result = result_of(tmp_path, [weapons(number, score) for number, score in enumerate(scores)], near=2)
    near = [each.image.image_id for each in result.near if each.category == "weapons" and each.outcome == "block"]
    assert near == ["image-0", "image-1", "image-2", "image-4"]


def test_scores_are_spread_for_the_categories_with_other_thresholds(tmp_path: Path) -> None:
    documents = [weapons(0, 0.0), weapons(1, 0.59), weapons(2, 1.0)]
    known = result_of(tmp_path, documents, known_policies=(OLD,)).distributions
    assert [(each.category, each.before, each.after) for each in known] == [
        ("weapons", {"review": 0.4, "block": 0.9}, {"review": 0.6, "block": 0.8}),
        ("gambling", {}, {"review": 0.5}),
    ]
    assert {place: count for place, count in enumerate(known[0].counts) if count} == {0: 1, 29: 1, 49: 1}
    assert [each.category for each in result_of(tmp_path, documents).distributions] == [
        CHILD_SAFETY,
        "weapons",
        "gambling",
    ]


def test_scores_that_were_made_as_the_policy_wants_leave_nothing_open(tmp_path: Path) -> None:
    result = result_of(tmp_path, [weapons(0, 0.5)], calibration_file=None)
    assert (result.unanswered, result.again) == ((), None)


def test_what_scores_cannot_answer_is_named_with_its_images(tmp_path: Path) -> None:
    other_model = {"name": "qwen", "revision": "1", "adapter": "faces"}
    documents = [
        weapons(0, 0.5),
        judged(1, scores={CHILD_SAFETY: 0.0, "weapons": 0.0}),
        weapons(2, 0.0, prompt_hash="0" * 64),
        weapons(3, 0.0, preprocessing="other"),
        weapons(4, 0.0, model=other_model),
        weapons(5, 0.0, calibration_file="shop/1 abc"),
        weapons(6, 0.2, asked=[]),
        weapons(7, 0.01, asked=[]),
        judged(8, scores={"weapons": 0.0, CHILD_SAFETY: 0.0}, prompt_hash=None, asked=[]),
        judged(9, scores={}, status="not_moderated"),
    ]
    result = result_of(tmp_path, documents, calibration_file=None)
    assert kinds(result) == {
        "category.new": ["image-1"],
        "category.not_covered": ["image-8"],
        "definition.changed": ["image-2"],
        "vision_tokens.changed": ["image-3"],
        "adapter.changed": ["image-4"],
        "calibration.changed": ["image-5"],
        "follow_up.lower": ["image-6"],
        "image.not_judged": ["image-9"],
    }
    assert result.again is not None
    assert result.again.images == 6
    assert result.not_moderated == 1


def test_another_calibration_file_than_that_of_the_settings_is_named(tmp_path: Path) -> None:
    documents = [
        weapons(0, 0.0, calibration_file="shop/1 abc"),
        weapons(1, 0.0),
        weapons(2, 0.0, calibration_file="new"),
    ]
    result = result_of(tmp_path, documents, calibration_file="new")
    assert kinds(result) == {"calibration.changed": ["image-0", "image-1"]}
    assert result.unanswered[0].detail == "scores were not calibrated by new, which policy.calibration names"


def test_no_verdicts_are_a_result(tmp_path: Path) -> None:
    with opened(tmp_path, [weapons(0, 0.5)], NEW) as connection:
        result = backtest(connection, BacktestQuestion(NEW, tenants={"absent"}))
    assert (result.images, result.first_at, result.weeks, result.again) == (0, None, None, None)


@pytest.mark.parametrize("score", ["1.5", "-0.1", "'nan'::DOUBLE"])
def test_stored_scores_that_are_no_probabilities_are_refused(tmp_path: Path, score: str) -> None:
    with opened(tmp_path, [weapons(0, 0.5)], NEW) as connection:
        forged = connection.view("verdicts").project(f"* REPLACE ({score} AS score_weapons)")
        connection.execute(f"CREATE TABLE forged AS {forged.sql_query()}")
        connection.execute("CREATE OR REPLACE VIEW verdicts AS FROM forged")
        with pytest.raises(StoredScoresError, match="score_weapons"):
            backtest(connection, BacktestQuestion(NEW))


def test_the_same_verdicts_give_the_same_result(tmp_path: Path) -> None:
    documents = [weapons(number, number / 50) for number in range(50)]
    with opened(tmp_path, documents, NEW) as connection:
        first, second = (backtest(connection, BacktestQuestion(NEW, examples=3)) for _ in range(2))
    assert first == second


def test_a_category_without_any_score_has_no_spread(tmp_path: Path) -> None:
    known = result_of(tmp_path, [judged(0, scores={CHILD_SAFETY: 0.0, "weapons": 0.0})], known_policies=(OLD,))
    assert [each.category for each in known.distributions] == ["weapons"]


def test_rules_that_are_gone_are_found_though_no_stored_score_shows_them(tmp_path: Path) -> None:
    rules = {CHILD_SAFETY: CategoryRule(review=0.1), "gambling": CategoryRule(label=0.2)}
    milder = Policy(name="shop", version="3", categories=rules)
    assert result_of(tmp_path, [judged(0)], milder, known_policies=(OLD,)).rules_gone == ("weapons",)
    assert result_of(tmp_path, [judged(0)], milder, baseline=NEW).rules_gone == ("gambling", "weapons")
    assert result_of(tmp_path, [judged(0)], milder).rules_gone == ()
