"""Monotone maps from an engine's scores to calibrated probabilities; a higher score never gets a lower probability."""

import math
from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator

from schemas.base import Score
from service.policy.words import Part, Remark, mistake

ScoreMap = Callable[[float], float]
"""From a score in [0, 1] to a probability in [0, 1]."""

LOGIT_CLIP = 1e-9
"""Scores closer to 0 or 1 count as this far from it: their logit would have no end."""

_SCORE_DIGITS = 12
"""Scores are rounded to so many decimals first. Different scores are then further apart than the rounding errors of a
logarithm and an exponential, so that the maps of logits are monotone in floating-point numbers as well."""

_MAX_EXPONENT = 700.0
"""Of an exponential that still is a number."""

MAX_KNOTS = 256
"""An isotonic map with more follows the noise of its examples."""

Count = Annotated[int, Field(ge=0)]
Slope = Annotated[float, Field(ge=0.01, le=100.0)]
"""Positive, so that the map is monotone. A fit outside of these bounds comes from examples that no logit separates."""


class _Counted(Part):
    """What one kind of score of one category was fitted on."""

    positives: Count
    """Labelled images that show the category."""
    negatives: Count
    """Labelled images that do not."""


class _Fitted(_Counted):
    ece_before: Score
    """Expected calibration error of the engine's own scores."""
    ece_after: Score
    """The same of the calibrated scores, each by a map that was fitted without that image and its duplicates."""


class Temperature(_Fitted):
    """The logit divided by a temperature: it keeps 0.5 and moves other scores towards it or away from it."""

    method: Literal["temperature"]
    temperature: Slope

    def score_map(self) -> ScoreMap:
        """Return the map of this temperature."""
        return _logistic(1.0 / self.temperature, 0.0)


class Platt(_Fitted):
    """The logit times a slope, plus an intercept: Platt's scaling."""

    method: Literal["platt"]
    slope: Slope
    intercept: Annotated[float, Field(ge=-100.0, le=100.0)]

    def score_map(self) -> ScoreMap:
        """Return the map of this slope and intercept."""
        return _logistic(self.slope, self.intercept)


class Isotonic(_Fitted):
    """Straight lines between knots, and the outermost knots' probability beyond them."""

    method: Literal["isotonic"]
    knots: Annotated[tuple[tuple[Score, Score], ...], Field(min_length=2, max_length=MAX_KNOTS)]
    """Score and probability of each knot; scores ascend, and probabilities never fall."""

    @field_validator("knots")
    @classmethod
    def _never_fall(cls, knots: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        for (score, probability), (next_score, next_probability) in pairwise(knots):
            if next_score <= score:
                raise mistake(f"the scores of knots ascend, and {next_score} follows {score}")
            if next_probability < probability:
                raise mistake(f"a higher score must not get a lower probability: {next_probability} at {next_score}")
        return knots

    def score_map(self) -> ScoreMap:
        """Return the map through these knots."""
        return _through(self.knots)


class Uncalibrated(_Counted):
    """The engine's scores as they are, because there were too few examples for another map."""

    method: Literal["none"]
    reason: Remark
    """Why they stay as they are."""

    def score_map(self) -> ScoreMap:
        """Return the map that changes nothing."""
        return _unchanged


AnyScoreMap = Annotated[Temperature | Platt | Isotonic | Uncalibrated, Field(discriminator="method")]


def logit(score: float) -> float:
    """Return the log odds of a score in [0, 1]; those of 0 and 1 are clipped."""
    clipped = min(max(round(score, _SCORE_DIGITS), LOGIT_CLIP), 1.0 - LOGIT_CLIP)
    return math.log(clipped / (1.0 - clipped))


def _logistic(slope: float, intercept: float) -> ScoreMap:
    def probability(score: float) -> float:
        odds_against = math.exp(min(_MAX_EXPONENT, -(slope * logit(score) + intercept)))
        return 1.0 / (1.0 + odds_against)

    return probability


def _through(knots: tuple[tuple[float, float], ...]) -> ScoreMap:
    scores = [score for score, _ in knots]
    probabilities = [probability for _, probability in knots]

    def probability(score: float) -> float:
        place = bisect_right(scores, score)
        if place == 0:
            return probabilities[0]
        if place == len(scores):
            return probabilities[-1]
        low, high = probabilities[place - 1], probabilities[place]
        share = (score - scores[place - 1]) / (scores[place] - scores[place - 1])
        # The sum may end a rounding error above the knot that follows.
        return min(high, low + share * (high - low))

    return probability


def _unchanged(score: float) -> float:
    return score
