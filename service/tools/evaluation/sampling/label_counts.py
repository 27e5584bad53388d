"""How many labelled images a claim takes, by exact binomial limits.

The images are a simple random sample of those that the claim is about: for recall images that show the category, for
precision flagged images, for a false-positive rate images that do not show it. A stratified sample takes more.
"""

import numpy as np
from scipy.stats import beta, binom

from service.tools.evaluation.sampling.intervals import CONFIDENCE

MOST = 200_000
"""A claim that takes more labels is not made by labelling."""

_ROUNDING = 1e-9
"""0.98 of 50 images are 49, and not the 48 that floating point makes of it."""


def lower_limit(hits: int, labels: int, confidence: float = CONFIDENCE) -> float:
    """Return what a share is not below, with this confidence: the one-sided limit of Clopper and Pearson."""
    return float(beta.ppf(1.0 - confidence, hits, labels - hits + 1)) if hits else 0.0


def labels_needed(claim: float, observed: float, confidence: float = CONFIDENCE) -> int | None:
    """Return from which number of labels on a share observed as `observed` proves that it is at least `claim`.

    Observed images are rounded down to whole ones. None if more than `MOST` labels are needed, and where what is
    observed does not exceed the claim.
    """
    labels = np.arange(1, MOST + 1)
    hits = np.floor(observed * labels + _ROUNDING)
    by_chance = binom.sf(hits - 1, labels, claim)
    too_few = np.flatnonzero(by_chance > 1.0 - confidence)
    needed = int(too_few[-1]) + 2 if too_few.size else 1
    return needed if needed <= MOST else None
