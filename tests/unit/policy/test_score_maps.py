"""Maps of scores are monotone, stay in [0, 1], and refuse parameters with which they would not."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from service.policy.score_maps import AnyScoreMap

EVIDENCE = {"positives": 40, "negatives": 90, "ece_before": 0.2, "ece_after": 0.02}

scores = st.one_of(
    st.floats(0.0, 1.0),
    # Neighbours, and the ends that logits run away at.
    st.sampled_from((0.0, 5e-324, 1e-12, 1e-9, 0.5, math.nextafter(0.5, 1.0), 1.0 - 1e-9, 1.0 - 1e-16, 1.0)),
)


@st.composite
def knots(draw: st.DrawFn) -> list[tuple[float, float]]:
    count = draw(st.integers(2, 12))
    places = draw(st.lists(st.floats(0.0, 1.0), min_size=count, max_size=count, unique=True))
    probabilities = draw(st.lists(st.floats(0.0, 1.0), min_size=count, max_size=count))
    return [*zip(sorted(places), sorted(probabilities), strict=True)]


slopes = st.floats(0.01, 100.0)
maps = st.one_of(
    st.builds(lambda value: {"method": "temperature", "temperature": value}, slopes),
    st.builds(
        lambda slope, intercept: {"method": "platt", "slope": slope, "intercept": intercept},
        slopes,
        st.floats(-100.0, 100.0),
    ),
    st.builds(lambda value: {"method": "isotonic", "knots": value}, knots()),
)


def read(content: dict[str, object], *, bare: bool = False) -> AnyScoreMap:
    found: AnyScoreMap = TypeAdapter(AnyScoreMap).validate_python(content if bare else {**EVIDENCE, **content})
    return found


@given(maps, st.lists(scores, min_size=2, max_size=30))
def test_a_higher_score_never_gets_a_lower_probability(content: dict[str, object], some: list[float]) -> None:
    score_map = read(content).score_map()
    for lower, higher in pairwise(sorted(some)):
        assert 0.0 <= score_map(lower) <= score_map(higher) <= 1.0


@given(maps, st.floats(0.0, 1.0))
def test_neighbouring_scores_are_in_order(content: dict[str, object], score: float) -> None:
    score_map = read(content).score_map()
    for neighbour in (math.nextafter(score, 2.0), score + 1e-13, score + 1e-11):
        assert score_map(score) <= score_map(min(1.0, neighbour))


def test_maps_compute_what_their_parameters_say() -> None:
    assert read({"method": "temperature", "temperature": 2.0}).score_map()(0.8) == pytest.approx(2 / 3)
    assert read({"method": "platt", "slope": 1.0, "intercept": math.log(3)}).score_map()(0.5) == pytest.approx(0.75)
    isotonic = read({"method": "isotonic", "knots": [(0.2, 0.1), (0.4, 0.5), (0.6, 0.5)]}).score_map()
    assert [isotonic(score) for score in (0.0, 0.2, 0.3, 0.5, 0.9)] == pytest.approx([0.1, 0.1, 0.3, 0.5, 0.5])


def test_a_score_without_a_map_stays_as_it_is() -> None:
    unchanged = read({"method": "none", "positives": 3, "negatives": 90, "reason": "too few examples"}, bare=True)
    assert unchanged.score_map()(0.123) == 0.123  # the very number


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        ({"method": "temperature", "temperature": 0.0}, "greater than or equal to 0.01"),
        ({"method": "temperature", "temperature": -1.0}, "greater than or equal to 0.01"),
        ({"method": "platt", "slope": -1.0, "intercept": 0.0}, "greater than or equal to 0.01"),
        ({"method": "platt", "slope": math.nan, "intercept": 0.0}, "finite"),
        ({"method": "isotonic", "knots": [(0.0, 0.5), (1.0, 0.4)]}, "must not get a lower probability: 0.4 at 1.0"),
        ({"method": "isotonic", "knots": [(0.5, 0.5), (0.5, 0.6)]}, "the scores of knots ascend, and 0.5 follows 0.5"),
        ({"method": "isotonic", "knots": [(0.0, 0.5), (1.0, 1.1)]}, "less than or equal to 1"),
        ({"method": "isotonic", "knots": [(0.0, 0.5)]}, "at least 2 items"),
        ({"method": "isotonic", "knots": [(n / 300, 0.5) for n in range(300)]}, "at most 256 items"),
        ({"method": "beta"}, "'temperature', 'platt', 'isotonic', 'none'"),
    ],
)
def test_a_map_that_could_fall_or_leave_the_range_is_refused(content: dict[str, object], detail: str) -> None:
    with pytest.raises(ValidationError, match=detail):
        read(content)
