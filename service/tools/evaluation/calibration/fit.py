"""Pure: fits the map from scores to probabilities that predicts held-out labels best.

Temperature, Platt's scaling and isotonic regression are each fitted without one fifth of the images and predict that
fifth, five times. The lowest log loss wins; a map with more freedom must win by more than one standard error, or the
simpler one is taken, and the simplest is none. Copies of one image stay in one fifth.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import StratifiedKFold

from service.policy.score_maps import (
    LOGIT_CLIP,
    MAX_KNOTS,
    AnyScoreMap,
    Isotonic,
    Platt,
    ScoreMap,
    Temperature,
    Uncalibrated,
)
from service.tools.evaluation.quality.calibration_error import Flags, Floats, Reliability, reliability

MIN_EXAMPLES = 32
"""Positives, and negatives: the standard error of a map's log odds is about √(1/positives + 1/negatives), which is then
0.25 at most, so that 95 % of fits put a true probability of 0.5 between 0.38 and 0.62."""

MIN_ISOTONIC = 1000
"""Images. An isotonic map has a step wherever its examples have one; scikit-learn's guide advises against it for far
fewer than 1,000."""

_FOLDS = 5
_AS_IT_IS = "none"
"""The simplest map: it changes nothing."""
_MAX_LOG_SLOPE = float(np.log(100.0))
_SCORE_DIGITS = 9
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class LabelledScores:
    """The scores of one kind for one category, with the truth. All arrays have the shape (images,)."""

    scores: Floats
    positives: Flags
    groups: NDArray[np.int64]
    """Equal for copies of one image."""

    @property
    def positive_images(self) -> int:
        """Different images that show the category."""
        return len(np.unique(self.groups[self.positives]))

    @property
    def negative_images(self) -> int:
        """Different images that do not."""
        return len(np.unique(self.groups[~self.positives]))

    def part(self, chosen: NDArray[np.int64]) -> "LabelledScores":
        """Return the images at these places."""
        return LabelledScores(self.scores[chosen], self.positives[chosen], self.groups[chosen])


@dataclass(frozen=True, slots=True)
class Fit:
    """A map, and its reliability on images that it was not fitted on."""

    fitted: AnyScoreMap
    before: Reliability | None
    """Of the engine's own scores; None where there are too few examples."""
    after: Reliability | None
    losses: Mapping[str, float]
    """Cross-validated log loss of each method that was tried, in nats an image."""


def fit(examples: LabelledScores, *, seed: int) -> Fit:
    """Return the best map for some scores, or `Uncalibrated` with the reason.

    There may be too few examples, or the scores may be as good as any map of them.
    """
    positives, negatives = examples.positive_images, examples.negative_images
    if min(positives, negatives) < MIN_EXAMPLES:
        reason = f"too few examples: {positives} positive and {negatives} negative; at least {MIN_EXAMPLES} of each"
        unchanged = Uncalibrated(method="none", positives=positives, negatives=negatives, reason=reason)
        return Fit(unchanged, None, None, {})
    tried = {_AS_IT_IS: examples.scores}
    tried |= {name: _out_of_fold(examples, method, seed) for name, method in _methods(examples).items()}
    best = _best({name: _losses(predicted, examples.positives) for name, predicted in tried.items()})
    before, after = (reliability(each, examples.positives) for each in (examples.scores, tried[best]))
    losses = {name: float(_losses(predicted, examples.positives).mean()) for name, predicted in tried.items()}
    if best == _AS_IT_IS:
        reason = "no map predicts labels of other images better than the scores themselves"
        return Fit(
            Uncalibrated(method="none", positives=positives, negatives=negatives, reason=reason), before, before, losses
        )
    evidence = _Evidence(positives, negatives, _rounded(before.ece), _rounded(after.ece))
    return Fit(_METHODS[best](examples, evidence), before, after, losses)


def mapped(score_map: ScoreMap, scores: Floats) -> Floats:
    """Return the probabilities of many scores, by the service's own map."""
    return np.array([score_map(score) for score in scores.tolist()])


def log_odds(scores: Floats) -> Floats:
    """Return the logits of scores, clipped as the service clips them."""
    clipped = np.clip(scores, LOGIT_CLIP, 1.0 - LOGIT_CLIP)
    return np.log(clipped / (1.0 - clipped))


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What a fitted map states of its examples."""

    positives: int = 0
    negatives: int = 0
    ece_before: float = 0.0
    ece_after: float = 0.0


_Method = Callable[[LabelledScores, _Evidence], Temperature | Platt | Isotonic]


def _temperature(examples: LabelledScores, evidence: _Evidence) -> Temperature:
    logits, targets = log_odds(examples.scores), _targets(examples.positives)
    bounds = (-_MAX_LOG_SLOPE, _MAX_LOG_SLOPE)
    found = minimize_scalar(lambda log: _mean_loss(logits * np.exp(-log), targets), bounds=bounds, method="bounded")
    return Temperature(method="temperature", temperature=_rounded(np.exp(found.x)), **asdict(evidence))


def _platt(examples: LabelledScores, evidence: _Evidence) -> Platt:
    logits, targets = log_odds(examples.scores), _targets(examples.positives)

    def loss(parameters: Floats) -> float:
        return _mean_loss(parameters[0] * logits + parameters[1], targets)

    found = minimize(loss, x0=[1.0, 0.0], bounds=[(0.01, 100.0), (-100.0, 100.0)], method="L-BFGS-B")
    slope, intercept = found.x
    return Platt(method="platt", slope=_rounded(slope), intercept=_rounded(intercept), **asdict(evidence))


def _isotonic(examples: LabelledScores, evidence: _Evidence) -> Isotonic:
    targets = _targets(examples.positives)
    # An end that only one class reaches is not certain, but as likely as Laplace's rule has it.
    model = IsotonicRegression(y_min=float(targets.min()), y_max=float(targets.max()), out_of_bounds="clip")
    model.fit(examples.scores, examples.positives.astype(np.float64))
    return Isotonic(method="isotonic", knots=_knots(model.X_thresholds_, model.y_thresholds_), **asdict(evidence))


def _knots(scores: Floats, probabilities: Floats) -> tuple[tuple[float, float], ...]:
    """Return at most `MAX_KNOTS` knots with ascending, rounded scores."""
    kept = np.unique(np.linspace(0, len(scores) - 1, min(len(scores), MAX_KNOTS)).round().astype(int))
    rounded_scores = np.round(scores[kept], _SCORE_DIGITS).tolist()
    rounded_probabilities = np.round(probabilities[kept], _DIGITS).tolist()
    knots = tuple(dict(zip(rounded_scores, rounded_probabilities, strict=True)).items())
    # Scores that are all the same have one knot, and a file has two at least.
    return knots if len(knots) > 1 else ((0.0, knots[0][1]), (1.0, knots[0][1]))


def _rounded(parameter: float) -> float:
    return round(float(parameter), _DIGITS)


_METHODS: Mapping[str, _Method] = {"temperature": _temperature, "platt": _platt, "isotonic": _isotonic}
"""In the order of their freedom."""


def _methods(examples: LabelledScores) -> Mapping[str, _Method]:
    has_enough = examples.positive_images + examples.negative_images >= MIN_ISOTONIC
    return {name: method for name, method in _METHODS.items() if has_enough or name != "isotonic"}


def _out_of_fold(examples: LabelledScores, method: _Method, seed: int) -> Floats:
    """Return a probability for each image, by a map that was fitted without it and its copies."""
    # Of every group one image decides the fold of all. scikit-learn's folds of groups take minutes for 100,000 groups.
    _, first, group = np.unique(examples.groups, return_index=True, return_inverse=True)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(first, examples.positives[first])
    predicted = np.empty(len(examples.scores))
    for _, groups_held_out in folds:
        held_out = np.isin(group, groups_held_out)
        fitted = method(examples.part(np.flatnonzero(~held_out)), _Evidence())
        predicted[held_out] = mapped(fitted.score_map(), examples.scores[held_out])
    return predicted


def _targets(positives: Flags) -> Floats:
    """Return Platt's targets, which keep a map of separable examples finite."""
    count = int(positives.sum())
    present, absent = (count + 1.0) / (count + 2.0), 1.0 / (len(positives) - count + 2.0)
    return absent + (present - absent) * positives.astype(np.float64)


def _mean_loss(logits: Floats, targets: Floats) -> float:
    return float(np.mean(np.logaddexp(0.0, logits) - targets * logits))


def _losses(predicted: Floats, positives: Flags) -> Floats:
    losses: Floats = -np.log(np.clip(np.where(positives, predicted, 1.0 - predicted), LOGIT_CLIP, 1.0))
    return losses


def _best(losses: Mapping[str, Floats]) -> str:
    """Return the simplest method that is within one standard error of every freer one."""
    names = [*losses]
    best = names[0]
    for _, freer in pairwise(names):
        gain = losses[best] - losses[freer]
        if gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)):
            best = freer
    return best
