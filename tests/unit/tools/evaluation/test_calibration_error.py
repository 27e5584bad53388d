"""The calibration error is what the bins of a hand-computed example say."""

import numpy as np
import pytest

from service.tools.evaluation.quality.calibration_error import reliability


def test_the_error_is_the_mean_distance_of_scores_from_shares() -> None:
    scores = np.array([0.1, 0.1, 0.1, 0.1, 0.8, 0.8, 0.9, 0.9])
    positives = np.array([False, False, False, True, True, True, True, False])
    found = reliability(scores, positives, bins=2)
    assert [(each.lowest, each.highest, each.images) for each in found.bins] == [(0.1, 0.1, 4), (0.8, 0.9, 4)]
    assert [each.positive_share for each in found.bins] == [0.25, 0.75]
    assert found.ece == pytest.approx(0.5 * 0.15 + 0.5 * 0.10)


def test_equal_scores_share_a_bin_in_any_order() -> None:
    scores = np.array([0.5] * 99 + [0.9])
    positives = np.arange(100) % 2 == 0
    first = reliability(scores, positives)
    again = reliability(scores[::-1], positives[::-1])
    assert first == again
    assert len(first.bins) == 2


def test_a_calibrated_score_has_about_the_error_that_chance_gives_it() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(5_000)
    errors = [reliability(scores, rng.random(5_000) < scores) for _ in range(40)]
    assert np.mean([each.ece for each in errors]) == pytest.approx(errors[0].ece_by_chance, rel=0.1)


def test_no_images_have_no_error() -> None:
    with pytest.raises(ValueError, match="not defined"):
        reliability(np.array([]), np.array([], dtype=bool))
