"""Pure: a figure with the interval that it lies in with 95 % confidence."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from service.tools.evaluation.quality.cells import Matrix

CONFIDENCE = 0.95
DEFAULT_RESAMPLES = 2000
"""The ends of an interval then vary by about a fiftieth of its width between seeds."""
DEFAULT_SEED = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and its interval, or the reason why it is undefined."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    undefined: str | None = None
    """Why there is no value; None where there is one."""


def estimate(value: float, drawn: Matrix, *, trials: float | None, undefined: str) -> Figure:
    """Return a figure with the percentile interval of its resamples.

    `trials` is the number of images of which a share was taken. A share of exactly 0 or 1 has resamples that are all
    alike and say nothing of its uncertainty: the exact interval of Clopper and Pearson stands instead.
    """
    if math.isnan(value):
        return Figure(undefined=undefined)
    tail = (1 - CONFIDENCE) / 2
    # Resamples in which the figure is undefined say nothing of it.
    low, high = (float(end) for end in np.nanquantile(drawn, [tail, 1 - tail]))
    if trials and value in {0.0, 1.0}:
        low, high = exact_interval(value, trials)
    return Figure(value, max(0.0, min(low, value)), min(1.0, max(high, value)))


def exact_interval(share: float, trials: float) -> tuple[float, float]:
    """Return the interval of Clopper and Pearson for a share of 0 or 1."""
    images = max(1, math.floor(trials))
    found = binomtest(round(share * images), images).proportion_ci(CONFIDENCE, method="exact")
    return float(found.low), float(found.high)
