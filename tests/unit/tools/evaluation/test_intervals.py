import numpy as np
import pytest
from scipy.stats import chi2

from service.tools.evaluation.sampling.intervals import SampledCount, share_of_all, share_of_two


def count(kind: list[bool], weight: float) -> SampledCount:
    return SampledCount.of(np.array(kind, bool), np.full(len(kind), weight), weight)


def test_nothing_found_is_no_proof_of_nothing() -> None:
    found = share_of_all(count([False] * 100, 1000.0), 100_000)
    assert (found.value, found.low) == (0.0, 0.0)
    exact = chi2.ppf(0.975, 2) / 2 * 999 / 100_000  # of a count of 0, for the 999 of 1,000 images that were not drawn
    assert found.high == pytest.approx(exact, rel=0.05)


def test_what_is_labelled_completely_is_known() -> None:
    found = share_of_two(count([True] * 30, 1.0), count([True] * 10, 1.0))
    assert (found.low, found.value, found.high) == (0.75, 0.75, 0.75)


def test_a_share_lies_in_its_interval_and_the_interval_in_0_to_1() -> None:
    found = share_of_two(count([True] * 40, 10.0), count([True] * 2, 500.0))
    assert found.value == pytest.approx(400 / 1400)
    assert 0.0 < found.low < (found.value or 0.0) < found.high < 1.0


def test_one_missed_image_that_stands_for_many_weighs_more_than_the_many_that_were_found() -> None:
    without = share_of_two(count([True] * 40, 1.0), count([False], 1000.0))
    assert (without.value, without.high) == (1.0, 1.0)
    assert without.low < 0.05


def test_without_an_image_of_either_kind_nothing_is_known() -> None:
    found = share_of_two(count([False], 10.0), count([False], 10.0))
    assert (found.value, found.low, found.high) == (None, 0.0, 1.0)


def test_more_confidence_takes_a_wider_interval() -> None:
    few = count([True] * 5, 100.0)
    narrow, wide = (share_of_all(few, 10_000, confidence) for confidence in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_equal_labels_give_equal_intervals() -> None:
    assert share_of_all(count([True] * 5, 100.0), 10_000) == share_of_all(count([True] * 5, 100.0), 10_000)
