"""Labelled images, whatever they come from: what a preparation begins with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.core.errors import FatalError
from service.tools.evaluation.datasets.dataset import Dataset

MAX_IMAGES = 100_000
"""Near-duplicates are looked for among all pairs, and labels are in memory, about 2 KB an image."""


class TooManyImagesError(FatalError):
    """A dataset has more images than can be prepared together."""

    reason = "finetune.too_many_images"
    message = "{place}: it has {count:,} images, and at most {limit:,} are prepared together: draw a sample"


@dataclass(frozen=True, slots=True)
class Labelled:
    """Labelled images, and what stored verdicts say of them."""

    dataset: Dataset
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Scores by category, by the SHA-256 of the image file."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Images of the source that are not in the dataset, by reason code."""
