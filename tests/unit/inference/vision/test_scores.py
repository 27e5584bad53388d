import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.inference.vision.scores import read_labels


def logs(**probabilities: float) -> dict[str, float]:
    return {label: math.log(value) if value else -math.inf for label, value in probabilities.items()}


def test_shares_are_of_the_labels_and_the_mass_is_of_the_whole_answer() -> None:
    reading = read_labels(logs(A=0.6, B=0.2, C=0.0))
    assert reading.shares == pytest.approx({"A": 0.75, "B": 0.25, "C": 0.0})
    assert reading.mass == pytest.approx(0.8)


def test_labels_that_nothing_fell_on_are_equal_and_have_no_mass() -> None:
    reading = read_labels(logs(A=0.0, B=0.0))
    assert (reading.shares, reading.mass) == ({"A": 0.5, "B": 0.5}, 0.0)


def test_labels_far_from_likely_are_still_distinguished() -> None:
    reading = read_labels({"A": -2000.0, "B": -2000.0 + math.log(3)})
    assert reading.shares == pytest.approx({"A": 0.25, "B": 0.75})
    assert reading.mass == 0.0


def test_rounding_gives_no_more_than_all_of_an_answer() -> None:
    assert read_labels({"A": 1e-7}).mass == 1.0


@given(st.dictionaries(st.text(min_size=1, max_size=1), st.floats(-800, 0) | st.just(-math.inf), min_size=1))
def test_every_reading_is_made_of_probabilities(log_probabilities: dict[str, float]) -> None:
    reading = read_labels(log_probabilities)
    assert reading.shares.keys() == log_probabilities.keys()
    assert all(0.0 <= share <= 1.0 for share in reading.shares.values())
    assert math.fsum(reading.shares.values()) == pytest.approx(1.0)
    assert 0.0 <= reading.mass <= 1.0
