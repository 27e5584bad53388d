"""Pure: how far scores are from the shares of images that show what they are scores for.

The expected calibration error (ECE) here is the plain one: the images are cut into ten bins of equal numbers by their
score, and the distances of each bin's mean score from its share of positives are averaged by their images. Chance alone
gives a perfectly calibrated score some error, which falls with the root of the images; `Reliability` states it beside
the error, so that a small one from few images is not taken for more than it is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Images with neighbouring scores."""

    lowest: float
    highest: float
    """The scores of the bin reach from `lowest` to `highest`, both included."""
    images: int
    mean_score: float
    positive_share: float
    """Share of the images that show the category."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """The bins of a reliability diagram, and what follows from them."""

    bins: tuple[Bin, ...]
    """By ascending scores; equal scores are in one bin, so that there may be fewer than ten."""
    ece: float
    """Expected calibration error in [0, 1]."""
    ece_by_chance: float
    """What a perfectly calibrated score would show on average on as many images with these scores."""


def reliability(scores: Floats, positives: Flags, *, weights: Floats | None = None, bins: int = BINS) -> Reliability:
    """Return the reliability of scores in [0, 1], shape (images,).

    `positives`, of the same shape, says which images show the category, and `weights` how many images each stands for.
    Raises `ValueError` without images.
    """
    if not len(scores):
        raise ValueError("the calibration error of no images is not defined")
    weights = np.ones(len(scores)) if weights is None else weights
    place = bins_of(scores, scores, bins=bins)
    parts = [place == number for number in np.unique(place)]
    found = [_bin(scores[part], positives[part], weights[part]) for part in parts]
    shares = np.array([weights[part].sum() for part in parts]) / weights.sum()
    means = np.array([each.mean_score for each in found])
    gaps = np.abs(means - [each.positive_share for each in found])
    # The mean distance of a normally distributed share from its expectation.
    by_chance = np.sqrt(2.0 / np.pi * means * (1.0 - means) / [each.images for each in found])
    return Reliability(tuple(found), float(shares @ gaps), float(shares @ by_chance))


def bins_of(scores: Floats, asked: Floats, *, bins: int = BINS) -> NDArray[np.intp]:
    """Return the bin of each of some scores, where bins hold equal numbers of all scores; equal scores share one."""
    inner = np.unique(np.quantile(scores, np.linspace(0.0, 1.0, bins + 1)[1:-1], method="lower"))
    return np.searchsorted(inner, asked, side="left")


def _bin(scores: Floats, positives: Flags, weights: Floats) -> Bin:
    return Bin(
        lowest=float(scores.min()),
        highest=float(scores.max()),
        images=len(scores),
        mean_score=float(np.average(scores, weights=weights)),
        positive_share=float(np.average(positives, weights=weights)),
    )
