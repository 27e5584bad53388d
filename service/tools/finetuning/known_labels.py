"""Pure: what a dataset's labels say for certain about an image, for the categories of a policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.tools.evaluation.datasets.dataset import Dataset
from service.tools.evaluation.datasets.pictures import Picture

_LIKELY = 0.5
"""Where no label is about a category and a verdict gave it this score, the image is not taken for harmless."""


@dataclass(frozen=True, slots=True)
class KnownLabels:
    """What is known of an image."""

    picture: Picture
    shown: frozenset[str]
    absent: frozenset[str]
    is_harmless: bool
    """Whether the right answer to the list question is that it shows no category."""
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_usable(self) -> bool:
        """Whether any question about the image has a known answer."""
        return bool(self.shown or self.absent or self.is_harmless or self.picture.example.tags)


def known_labels(dataset: Dataset, picture: Picture, names: frozenset[str], scores: Mapping[str, float]) -> KnownLabels:
    """Return what is known about the categories of these names.

    An image without a category is harmless if every category was looked for that any label of the dataset is about,
    and no stored score speaks for another one.
    """
    example = picture.example
    absent = frozenset(name for name in names - example.categories if dataset.is_about(example, name))
    is_whole = example.labelled is None or dataset.labelled <= example.labelled
    doubtful = any(scores.get(name, 0.0) >= _LIKELY for name in names - absent)
    is_harmless = not example.categories and is_whole and not (example.labelled is not None and doubtful)
    return KnownLabels(picture, example.categories & names, absent, is_harmless, scores)
