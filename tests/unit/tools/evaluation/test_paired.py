import numpy as np
import pytest

from service.tools.evaluation.quality.outcomes import Flags
from service.tools.evaluation.quality.paired import PairedOutcomes, differences, holm, mcnemar


def flags(*values: int) -> Flags:
    return np.array(values, np.bool_)


def paired(seed: int, images: int, noise: tuple[float, float]) -> PairedOutcomes:
    generator = np.random.default_rng(seed)
    truth = generator.random(images) < 0.3
    scores = tuple(np.clip(0.3 + 0.4 * truth + generator.normal(0, each, images), 0, 1).round(1) for each in noise)
    return PairedOutcomes(truth, (scores[0], scores[1]), (scores[0] >= 0.5, scores[1] >= 0.5))


def test_only_images_that_one_alone_has_right_count() -> None:
    test = mcnemar(flags(*[1] * 50, *[1] * 1, *[0] * 9), flags(*[1] * 50, *[0] * 1, *[1] * 9))
    assert (test.only_first, test.only_second) == (1, 9)
    assert test.p_value == pytest.approx(2 * 11 / 1024)  # of ten, at most one: 1 + 10 of 1,024, on either side


def test_two_that_agree_are_not_different() -> None:
    assert mcnemar(flags(1, 0, 1), flags(1, 0, 1)).p_value == 1.0


def test_holm_multiplies_the_smallest_by_the_number_of_tests_and_never_sorts_anew() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_figure_differs_by_what_it_is_for_each() -> None:
    found = differences(
        PairedOutcomes(
            flags(1, 1, 1, 1, 0, 0),
            (np.array([0.9, 0.9, 0.1, 0.1, 0.8, 0.2]), np.array([0.9, 0.9, 0.9, 0.1, 0.2, 0.2])),
            (flags(1, 1, 0, 0, 1, 0), flags(1, 1, 1, 0, 0, 0)),
        )
    )
    recall, precision = found["recall"], found["precision"]
    assert (recall.first, recall.second, recall.difference) == (0.5, 0.75, 0.25)
    assert precision.first == pytest.approx(2 / 3)
    assert precision.second == 1.0
    assert precision.difference == pytest.approx(1 / 3)
    assert recall.low is not None
    assert recall.high is not None
    assert recall.low <= 0.25 <= recall.high


def test_a_figure_that_one_has_not_makes_no_difference() -> None:
    scores = np.array([0.1, 0.9])
    found = differences(PairedOutcomes(flags(0, 1), (scores, scores), (flags(0, 1), flags(0, 0))))
    assert (found["precision"].first, found["precision"].second, found["precision"].difference) == (1.0, None, None)


def test_a_judgement_does_not_differ_from_itself() -> None:
    same = paired(0, 200, (0.3, 0.3))
    found = differences(PairedOutcomes(same.truth, (same.scores[0],) * 2, (same.flagged[0],) * 2), resamples=100)
    assert {(each.difference, each.low, each.high) for each in found.values()} == {(0.0, 0.0, 0.0)}


def test_swapping_the_two_swaps_the_difference() -> None:
    one = paired(3, 300, (0.2, 0.4))
    other = PairedOutcomes(one.truth, one.scores[::-1], one.flagged[::-1])
    for name, each in differences(one, resamples=500).items():
        swapped = differences(other, resamples=500)[name]
        assert each.difference == pytest.approx(-(swapped.difference or 0.0))


def test_paired_intervals_cover_the_true_difference() -> None:
    large = paired(99, 200_000, (0.2, 0.3))
    true = differences(large, resamples=1)
    covered = dict.fromkeys(true, 0)
    for seed in range(100):
        for name, each in differences(paired(seed, 300, (0.2, 0.3)), resamples=200, seed=seed).items():
            assert each.low is not None
            assert each.high is not None
            covered[name] += each.low <= (true[name].difference or 0.0) <= each.high
    assert min(covered.values()) >= 88, covered
