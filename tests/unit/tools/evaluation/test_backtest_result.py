"""Figures that follow from a backtest's result."""

from datetime import timedelta

import pytest

from tests.unit.tools.evaluation.backtests import MONDAY, result


def test_images_are_counted_by_their_decision_before_and_after() -> None:
    found = result({("allow", "allow"): 5, ("allow", "review"): 3, ("block", "review"): 2, ("review", "allow"): 1})
    assert found.count() == 11
    assert found.count(before="allow") == 8
    assert found.count(after="review") == 5
    assert found.count("block", "review") == 2
    assert found.changed == 6
    assert found.more_to_review == 4


def test_hours_of_review_are_those_of_a_week() -> None:
    found = result({("allow", "review"): 240}, last_at=MONDAY + timedelta(days=14), review_seconds=60.0)
    assert found.review_hours_a_week == pytest.approx(2)


@pytest.mark.parametrize("last_at", [MONDAY, MONDAY + timedelta(minutes=59), None])
def test_a_short_time_says_nothing_of_a_week(last_at: object) -> None:
    assert result(last_at=last_at).review_hours_a_week is None
