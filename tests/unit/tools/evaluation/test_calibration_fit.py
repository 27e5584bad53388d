"""Fitted maps make scores mean what they say on images that they were not fitted on."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.policy.score_maps import Uncalibrated
from service.tools.evaluation.calibration.fit import LabelledScores, fit, log_odds, mapped
from service.tools.evaluation.quality.calibration_error import Floats, reliability

MAX_ECE = 0.03


def distorted(images: int, distort: Callable[[Floats], Floats], *, seed: int = 0) -> LabelledScores:
    """Return images of known probability, whose scores are that probability with distorted log odds."""
    rng = np.random.default_rng(seed)
    probabilities = rng.beta(0.6, 1.5, images)
    positives = rng.random(images) < probabilities
    return LabelledScores(1.0 / (1.0 + np.exp(-distort(log_odds(probabilities)))), positives, np.arange(images))


def halves(examples: LabelledScores) -> tuple[LabelledScores, LabelledScores]:
    order = np.random.default_rng(1).permutation(len(examples.scores))
    return examples.part(order[: len(order) // 2]), examples.part(order[len(order) // 2 :])


@pytest.mark.parametrize(
    ("distort", "method"),
    [
        (lambda logits: 3.0 * logits, "temperature"),
        (lambda logits: 3.0 * logits + 2.0, "platt"),
        (lambda logits: np.where(logits > 0.0, 4.0 * logits, 0.5 * logits) + 1.0, "isotonic"),
    ],
)
def test_overconfident_scores_are_right_on_a_held_out_half(distort: Callable[[Floats], Floats], method: str) -> None:
    known, held_out = halves(distorted(16_000, distort))
    found = fit(known, seed=0)
    assert found.fitted.method == method
    assert reliability(held_out.scores, held_out.positives).ece > 4 * MAX_ECE
    calibrated = mapped(found.fitted.score_map(), held_out.scores)
    assert reliability(calibrated, held_out.positives).ece <= MAX_ECE


def test_the_stated_error_is_that_of_images_outside_of_the_fit() -> None:
    known, held_out = halves(distorted(8_000, lambda logits: 3.0 * logits))
    found = fit(known, seed=0)
    calibrated = mapped(found.fitted.score_map(), held_out.scores)
    assert not isinstance(found.fitted, Uncalibrated)
    assert found.fitted.ece_after == pytest.approx(reliability(calibrated, held_out.positives).ece, abs=0.01)


def test_scores_that_are_probabilities_already_stay_as_they_are() -> None:
    found = fit(distorted(500, lambda logits: logits), seed=0)
    assert isinstance(found.fitted, Uncalibrated)
    assert "no map predicts labels of other images better" in found.fitted.reason
    assert found.before == found.after


def test_scores_that_separate_the_labels_are_not_made_less_sure() -> None:
    positives = np.arange(218) < 47
    found = fit(LabelledScores(np.where(positives, 0.999, 0.001), positives, np.arange(218)), seed=0)
    assert isinstance(found.fitted, Uncalibrated)


def test_the_same_seed_gives_the_same_map() -> None:
    examples = distorted(400, lambda logits: 3.0 * logits + 1.0)
    assert fit(examples, seed=7) == fit(examples, seed=7)


def test_too_few_examples_stay_uncalibrated_with_their_number() -> None:
    positives = np.arange(500) < 31
    found = fit(LabelledScores(np.linspace(1.0, 0.0, 500), positives, np.arange(500)), seed=0)
    assert isinstance(found.fitted, Uncalibrated)
    assert found.fitted.reason == "too few examples: 31 positive and 469 negative; at least 32 of each"


def test_copies_of_an_image_count_once() -> None:
    positives = np.arange(500) < 60
    copied = LabelledScores(np.linspace(1.0, 0.0, 500), positives, np.arange(500) // 2)
    found = fit(copied, seed=0)
    assert isinstance(found.fitted, Uncalibrated)
    assert found.fitted.positives == 30


def test_copies_of_an_image_are_held_out_together() -> None:
    """Copies on both sides would let a map learn noise by heart: labels here have nothing to do with scores."""
    rng = np.random.default_rng(3)
    scores, positives = rng.random(1_000), rng.random(1_000) < 0.5
    copies = LabelledScores(np.tile(scores, 4), np.tile(positives, 4), np.tile(np.arange(1_000), 4))
    losses = fit(copies, seed=0).losses
    assert losses["platt"] == pytest.approx(np.log(2), abs=0.01)
    alone = fit(LabelledScores(np.tile(scores, 4), np.tile(positives, 4), np.arange(4_000)), seed=0).losses
    assert alone["isotonic"] < losses["isotonic"]


@given(seed=st.integers(0, 2**32 - 1), slope=st.sampled_from((0.2, 1.0, 6.0)), separable=st.booleans())
@settings(max_examples=8, deadline=None)
def test_every_fit_is_monotone(*, seed: int, slope: float, separable: bool) -> None:
    examples = distorted(1_200, lambda logits: slope * logits, seed=seed)
    if separable:
        examples = LabelledScores(examples.scores, examples.scores > np.median(examples.scores), examples.groups)
    calibrated = mapped(fit(examples, seed=0).fitted.score_map(), np.sort(examples.scores))
    assert (np.diff(calibrated) >= 0.0).all()
    assert calibrated.min() >= 0.0
    assert calibrated.max() <= 1.0


def test_scores_that_are_all_the_same_get_the_share_of_positives() -> None:
    positives = np.arange(2_000) % 4 == 0
    found = fit(LabelledScores(np.full(2_000, 0.9), positives, np.arange(2_000)), seed=0)
    assert found.fitted.score_map()(0.9) == pytest.approx(0.25, abs=0.01)
