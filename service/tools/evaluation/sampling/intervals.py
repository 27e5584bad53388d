"""Intervals of counts and shares that a stratified sample estimates, where what is counted may be rare or absent.

A bootstrap of a sample without a single missed image finds that none is missed, with certainty. Counts therefore get
the gamma confidence distributions of Fay and Feuer (1997), made for weighted sums of rare events: without an event
their upper end is the exact one of the heaviest stratum. Shares of two counts join these by melding (Fay, Proschan and
Brittain, 2015). Both err towards wide intervals. A stratum that was labelled completely adds no uncertainty.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95

_DRAWS = 10_000
"""Chance moves an end of an interval by some two hundredths of its width."""
_SEED = 15
"""Fixed, so that the same labels always give the same intervals; any number would do."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated figure, with the interval that covers the true one in at least the stated share of samples."""

    value: float | None
    """None where the sample holds nothing to estimate it from."""
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SampledCount:
    """How many images of one kind an archive holds, by a sample of it."""

    labelled: float
    """Images of that kind among those labelled, which are known."""
    unseen: float
    """Estimated images of that kind among the others."""
    variance: float
    """Of `unseen`."""
    heaviest: float
    """How many images stand behind a labelled one in the stratum where that is most, itself included."""

    @classmethod
    def of(cls, is_kind: Flags, weights: Floats, heaviest: float) -> Self:
        """Count labelled images of a kind; a weight is one over the probability with which an image was drawn."""
        drawn = weights[is_kind]
        unseen = drawn - 1.0
        return cls(float(drawn.size), float(unseen.sum()), float((drawn * unseen).sum()), heaviest)

    @property
    def total(self) -> float:
        """The estimated number of images."""
        return self.labelled + self.unseen

    def lower(self, generator: np.random.Generator) -> Floats:
        """Draw from the confidence distribution of the lower end, in images."""
        return self.labelled + _gamma(generator, self.unseen, self.variance)

    def upper(self, generator: np.random.Generator) -> Floats:
        """Draw from the confidence distribution of the upper end: one more such image might have been drawn."""
        more = self.heaviest - 1.0
        return self.labelled + _gamma(generator, self.unseen + more, self.variance + self.heaviest * more)


def share_of_all(count: SampledCount, images: int, confidence: float = CONFIDENCE) -> Estimate:
    """Return the share of an archive's images that a count is."""
    generator = np.random.default_rng(_SEED)
    low = _quantile(count.lower(generator), _tail(confidence)) / images
    high = _quantile(count.upper(generator), 1.0 - _tail(confidence)) / images
    return Estimate(count.total / images, min(low, 1.0), min(high, 1.0))


def share_of_two(part: SampledCount, rest: SampledCount, confidence: float = CONFIDENCE) -> Estimate:
    """Return `part` divided by the sum of `part` and `rest`; no image is of both kinds.

    Without a labelled image of either kind nothing is known: no value, and an interval from 0 to 1.
    """
    both = part.total + rest.total
    if not both:
        return Estimate(None, 0.0, 1.0)
    generator = np.random.default_rng(_SEED)
    low = _quantile(_share(part.lower(generator), rest.upper(generator)), _tail(confidence))
    high = _quantile(_share(part.upper(generator), rest.lower(generator)), 1.0 - _tail(confidence))
    return Estimate(part.total / both, low, high)


def _tail(confidence: float) -> float:
    return (1.0 - confidence) / 2.0


def _quantile(draws: Floats, level: float) -> float:
    return float(np.quantile(draws, level))


def _share(part: Floats, rest: Floats) -> Floats:
    """Divide, where both may be 0: one of the two has a labelled image, so their sum is 0 at one end only."""
    both = part + rest
    return np.divide(part, both, out=np.zeros_like(both), where=both > 0.0)


def _gamma(generator: np.random.Generator, mean: float, variance: float) -> Floats:
    """Draw from the gamma distribution of a mean and a variance; without variance it is the mean."""
    if variance <= 0.0:
        return np.full(_DRAWS, mean)
    return generator.gamma(mean**2 / variance, variance / mean, _DRAWS)
