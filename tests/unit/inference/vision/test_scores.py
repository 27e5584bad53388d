import math
import random
from dataclasses import replace
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.inference.vision.scores import LabelReading, measured_prior, read_labels, without_prior


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


WEIGHTS = st.lists(st.floats(0.001, 1.0), min_size=2, max_size=8)


@given(WEIGHTS, st.randoms(use_true_random=False))
def test_a_prior_is_measured_whatever_the_labels_stand_for(contents: list[float], chance: random.Random) -> None:
    favour = {str(place): math.exp(chance.uniform(-2, 2)) for place in range(len(contents))}
    answers = [
        _answer({label: favour[label] * content for label, content in zip(favour, _rotated(contents, by), strict=True)})
        for by in range(len(contents))
    ]
    middle = median(math.log(value) for value in favour.values())
    assert measured_prior(answers) == pytest.approx(
        {label: math.log(value) - middle for label, value in favour.items()}, abs=1e-9
    )


def test_shares_without_the_prior_are_those_of_the_contents() -> None:
    reading = read_labels(logs(A=0.6, B=0.15, C=0.05))
    found = without_prior(reading, {"A": math.log(4), "B": 0.0, "C": math.log(0.5)})
    assert found.shares == pytest.approx({"A": 0.375, "B": 0.375, "C": 0.25})
    assert found.mass == reading.mass


@pytest.mark.parametrize("reading", [LabelReading({"A": 0.9, "B": 0.1}, 0.7), LabelReading({"A": 0.5, "B": 0.5}, 0.0)])
def test_equal_priors_and_answers_without_labels_change_nothing(reading: LabelReading) -> None:
    assert without_prior(reading, {}) == reading
    assert without_prior(replace(reading, mass=0.0), {"A": 1.0, "B": 0.0}).shares == reading.shares


def _rotated(contents: list[float], by: int) -> list[float]:
    return [*contents[by:], *contents[:by]]


def _answer(weights: dict[str, float]) -> dict[str, float]:
    total = math.fsum(weights.values())
    return {label: math.log(weight / total) for label, weight in weights.items()}
