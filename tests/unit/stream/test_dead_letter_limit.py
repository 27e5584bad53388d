"""The limit that stops the service when the fault is ours."""

import pytest

from service.settings import DeadLetterSettings
from service.stream.dead_letter_limit import DeadLetterLimit, DeadLetterLimitError


def observe(limit: DeadLetterLimit, outcomes: str) -> None:
    """Observe outcomes in order: "x" is a dead letter, "." is none."""
    for outcome in outcomes:
        limit.observe("image.unknown_format" if outcome == "x" else None)


def test_dead_letters_in_a_row_stop_the_service() -> None:
    limit = DeadLetterLimit(DeadLetterSettings(max_consecutive=3, window_records=1000))
    observe(limit, "xx.xx")
    with pytest.raises(DeadLetterLimitError, match=r"3 in a row, the last for image\.unknown_format"):
        observe(limit, "x")


def test_a_high_share_of_a_whole_window_stops_the_service() -> None:
    limit = DeadLetterLimit(DeadLetterSettings(max_consecutive=1000, max_ratio=0.5, window_records=10))
    observe(limit, "....xxxx.")
    with pytest.raises(DeadLetterLimitError, match="5 of the last 10"):
        observe(limit, "x")


def test_the_first_records_say_nothing_about_the_share() -> None:
    limit = DeadLetterLimit(DeadLetterSettings(max_consecutive=1000, max_ratio=0.5, window_records=10))
    observe(limit, "xxxxx")


def test_old_dead_letters_leave_the_window() -> None:
    limit = DeadLetterLimit(DeadLetterSettings(max_consecutive=1000, max_ratio=0.5, window_records=10))
    observe(limit, "xxxx" + "." * 10 + "xxxx")
