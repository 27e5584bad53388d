"""Pure: which thresholds keep a target, such as a precision of 0.98, with a stated confidence.

The target has to hold for images to come, and not only for the labelled ones, on which the best of many thresholds
always looks better than it is. Therefore a lower confidence limit (Clopper and Pearson's, exact for counts) has to
reach the target.

- Recall: the threshold is a fixed rank among the labelled positives, whatever their scores are. Its limit is exact.
- Precision: thresholds are tested from the strictest downwards, until one fails, and each counts only if all before it
  passed. Such a fixed sequence needs no correction for the number of thresholds (Angelopoulos et al., "Learn then
  test", arXiv 2110.01052). Up to four sequences begin at different numbers of images and share the error between them.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from service.tools.evaluation.quality.calibration_error import Flags, Floats
from service.tools.evaluation.thresholds.target import Target

DEFAULT_CONFIDENCE = 0.99
"""As many new images again, which chance moves as much as the labelled ones, then show at least the target in 95 of 100
cases: the distance of 2.33 standard errors from the target is 1.64 of the difference of two samples."""

_ERRORS_AT_STARTS = (0, 2, 8, 32)
"""Wrong images that each sequence of precisions can afford at its first threshold: the first one serves small datasets,
and the last one is not ended by a few early errors in large ones."""

_LARGEST_START = 0.25
"""Of all images: a category is shown by fewer, so that a sequence from there on would find nothing."""

_STEP = 1.05
"""Each threshold of a sequence flags this many times the images of the one before: fewer tests end by chance."""


@dataclass(frozen=True, slots=True)
class MeasuredShare:
    """A share of labelled images, with its two-sided 95 % interval."""

    value: float
    low: float
    high: float
    images: int
    """The images that it is a share of."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A threshold that keeps its targets."""

    threshold: float
    flagged: int
    """Labelled images at or above it."""
    precision: MeasuredShare
    recall: MeasuredShare


@dataclass(frozen=True, slots=True)
class PrecisionPlan:
    """How many images the first threshold of each sequence flags, and the confidence of every single test."""

    starts: tuple[int, ...]
    confidence: float

    @classmethod
    def of(cls, images: int, share: float, confidence: float) -> "PrecisionPlan":
        """Return the plan for a number of labelled images; labels have no part in it."""
        for count in range(len(_ERRORS_AT_STARTS), 1, -1):
            plan = cls._with(count, share, confidence)
            if plan.starts[-1] <= images * _LARGEST_START:
                return plan
        return cls._with(1, share, confidence)

    @classmethod
    def _with(cls, count: int, share: float, confidence: float) -> "PrecisionPlan":
        each = 1.0 - (1.0 - confidence) / count
        return cls(tuple(images_to_afford(errors, share, each) for errors in _ERRORS_AT_STARTS[:count]), each)


@dataclass(frozen=True)
class Ranking:
    """The labelled images of one category, by descending score: each different score is a possible threshold."""

    scores: Floats
    """Shape (images,), in any order."""
    positives: Flags

    @cached_property
    def thresholds(self) -> Floats:
        """Every score once, the highest first."""
        return np.unique(self.scores)[::-1]

    @cached_property
    def flagged(self) -> NDArray[np.int64]:
        """The images at or above each threshold."""
        return len(self.scores) - np.searchsorted(np.sort(self.scores), self.thresholds, side="left")

    @cached_property
    def hits(self) -> NDArray[np.int64]:
        """Those of them that show the category."""
        found = np.sort(self.scores[self.positives])
        return len(found) - np.searchsorted(found, self.thresholds, side="left")

    @cached_property
    def positive_count(self) -> int:
        """All images that show the category."""
        return int(self.positives.sum())

    def keeps(self, target: Target, confidence: float) -> Flags:
        """Return which thresholds keep a target."""
        if target.metric == "recall":
            return self.hits >= self.positive_count - _affordable_misses(self.positive_count, target.share, confidence)
        plan = PrecisionPlan.of(len(self.scores), target.share, confidence)
        passes = lower_limits(self.hits, self.flagged, plan.confidence) >= target.share
        kept = np.zeros(len(passes), dtype=np.bool_)
        for images in plan.starts:
            sequence = self._sequence(images)
            failed = np.flatnonzero(~passes[sequence])
            tested = sequence[: failed[0]] if len(failed) else sequence
            kept[tested] = True
        return kept

    def _sequence(self, images: int) -> NDArray[np.int64]:
        """Return the places of thresholds that flag so many images, then more and more; by scores alone."""
        if images > len(self.scores):
            return np.zeros(0, dtype=np.int64)
        steps = int(np.log(len(self.scores) / images) / np.log(_STEP)) + 1
        wanted = images * _STEP ** np.arange(steps)
        places = np.searchsorted(self.flagged, wanted, side="left")
        return np.unique(places[places < len(self.flagged)])

    def at(self, place: int, cap: float = 1.0) -> Kept:
        """Return a threshold with its figures."""
        hits, flagged = int(self.hits[place]), int(self.flagged[place])
        threshold = self.threshold_at(place, cap)
        return Kept(threshold, flagged, measured(hits, flagged), measured(hits, self.positive_count))

    def threshold_at(self, place: int, cap: float = 1.0) -> float:
        """Return the shortest number that flags the same images as the threshold at a place."""
        below = self.thresholds[place + 1] if place + 1 < len(self.thresholds) else 0.0
        return shortest_between(float(below), min(cap, float(self.thresholds[place])))


def measured(hits: int, images: int) -> MeasuredShare:
    """Return a share with its exact 95 % interval; of no images nothing is known."""
    if not images:
        return MeasuredShare(0.0, 0.0, 1.0, 0)
    low = 0.0 if hits == 0 else float(beta.ppf(0.025, hits, images - hits + 1))
    high = 1.0 if hits == images else float(beta.ppf(0.975, hits + 1, images - hits))
    return MeasuredShare(hits / images, low, high, images)


def lower_limits(hits: NDArray[np.int64], images: NDArray[np.int64], confidence: float) -> Floats:
    """Return Clopper and Pearson's one-sided lower limits of shares."""
    limits = beta.ppf(1.0 - confidence, np.maximum(hits, 1), images - hits + 1)
    return np.asarray(np.where(hits > 0, limits, 0.0), dtype=np.float64)


def shortest_between(below: float, upper: float) -> float:
    """Return the number with the fewest decimals that is above one number and at most another."""
    for digits in range(1, 16):
        # Dividing whole numbers gives the number that the same digits are read as.
        scale = 10.0**digits
        shortened = int(upper * scale) / scale
        if below < shortened <= upper:
            return shortened
    return upper


def _affordable_misses(positives: int, share: float, confidence: float) -> int:
    """Return how many positives a threshold may miss; -1 if even none is too many."""
    misses = np.arange(positives + 1)
    passes = lower_limits(positives - misses, np.full(positives + 1, positives), confidence) >= share
    return int(passes.sum()) - 1


@cache
def images_to_afford(errors: int, share: float, confidence: float) -> int:
    """Return from how many images on so many errors still prove a share."""
    low, high = errors + 1, errors + 2
    while not _proves(errors, high, share, confidence):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _proves(errors, middle, share, confidence) else (middle, high)
    return high


def _proves(errors: int, images: int, share: float, confidence: float) -> bool:
    return bool(lower_limits(np.array([images - errors]), np.array([images]), confidence)[0] >= share)
