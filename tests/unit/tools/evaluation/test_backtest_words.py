"""What a reader of a backtest reads first."""

from datetime import timedelta

import pytest

from schemas.base import Decision
from service.tools.evaluation.backtest.result import Unanswered
from service.tools.evaluation.backtest.words import gone_text, lead, percent, sentence, unanswered_lines
from tests.unit.tools.evaluation.backtests import MONDAY, result

Counts = dict[tuple[Decision, Decision], int]

ALLOWED: Counts = {("allow", "allow"): 180_000}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Of 180,000 images none would change"),
        (
            {("allow", "review"): 812, ("block", "review"): 40},
            "Of 180,852 images 0.5 % would change: 852 more to review (+7.1 h a week), 40 no longer blocked",
        ),
        (
            {("review", "allow"): 120},
            "Of 180,120 images less than 0.1 % would change: 120 fewer to review (-1.0 h a week)",
        ),
        ({("allow", "block"): 2000}, "Of 182,000 images 1.1 % would change: 2,000 newly blocked"),
        (
            {("allow", "review"): 9, ("review", "allow"): 9},
            "Of 180,018 images less than 0.1 % would change: as many to review as before, of which some are others",
        ),
    ],
)
def test_one_sentence_says_what_would_change(changes: Counts, said: str) -> None:
    assert sentence(result(ALLOWED | changes)) == said


def test_without_verdicts_there_is_nothing_to_say() -> None:
    assert sentence(result({})) == "There are no stored verdicts to decide again"


def test_a_short_time_is_not_made_a_week() -> None:
    assert "week" not in sentence(result({("allow", "review"): 3}, last_at=MONDAY + timedelta(minutes=5)))


@pytest.mark.parametrize(
    ("count", "total", "text"),
    [
        (0, 10, "0.0 %"),
        (1, 100_000, "less than 0.1 %"),
        (99_999, 100_000, "more than 99.9 %"),
        (10, 10, "100.0 %"),
        (1, 8, "12.5 %"),
        (0, 0, "0.0 %"),
    ],
)
def test_a_share_is_never_rounded_to_none_or_all(count: int, total: int, text: str) -> None:
    assert percent(count, total) == text


def test_the_reader_learns_what_the_figures_leave_out() -> None:
    assert "need the model" in lead(result())
    assert "need the model" not in lead(result(unanswered=()))


def test_a_reader_is_not_sent_to_a_model_that_would_not_know_better() -> None:
    not_covered = Unanswered("category.not_covered", "hate_symbols", "…", 9, is_answered_by_judging=False)
    assert "need the model" not in lead(result(unanswered=(not_covered,)))


def test_rules_that_the_new_policy_lacks_are_named() -> None:
    assert gone_text(result(rules_gone=("hate_symbols", "violence"))) == (
        "The new policy sends no image to review or block for hate_symbols, violence; the policy before did."
    )
    assert gone_text(result()) == ""


def test_categories_that_a_classifier_does_not_look_for_share_a_line() -> None:
    gaps = [
        Unanswered("category.not_covered", name, name, images, is_answered_by_judging=False)
        for name, images in (("hate_symbols", 9), ("violence", 9), ("self_harm", 2))
    ]
    changed = Unanswered("definition.changed", None, "the prompt differs", 9)
    lines = unanswered_lines(result(unanswered=(*gaps, changed)))
    assert [(each.images, each.kind) for each in lines] == [
        (9, "definition.changed"),
        (9, "category.not_covered"),
        (2, "category.not_covered"),
    ]
    assert "does not look for hate_symbols, violence:" in lines[1].detail
    assert lines[2].category == "self_harm"
