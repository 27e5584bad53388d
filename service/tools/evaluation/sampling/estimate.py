"""Estimates from a labelled sample how often all stored decisions are right, corrected for how the sample was drawn.

A labelled image stands for the images of its stratum that were not labelled (weights of Hájek: one over the share of
the stratum that was labelled). Images that were drawn and not labelled are taken to be like those of their stratum that
were.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.policy.taxonomy import NAMES
from service.tools.evaluation.sampling.errors import LabelsIncompleteError
from service.tools.evaluation.sampling.intervals import (
    CONFIDENCE,
    Estimate,
    Flags,
    SampledCount,
    share_of_all,
    share_of_two,
)
from service.tools.evaluation.sampling.labelled_sheet import LabelledImage

UNKNOWN = Estimate(None, 0.0, 1.0)

_MOST_NAMED = 5
"""Strata in a message."""


@dataclass(frozen=True, slots=True)
class CategoryEstimate:
    """What a sample says of one category, or of all together."""

    category: str | None
    """None for all together: an image counts if it shows any category, and as flagged if it was not allowed."""
    positives: int
    """Labelled images that show the category."""
    flagged: int
    """Labelled images that it sent to review or block."""
    prevalence: Estimate
    """The share of all images that show the category."""
    precision: Estimate
    """The share of the images flagged for it that show it."""
    recall: Estimate
    """The share of the images that show it which were flagged for it."""
    missed: Estimate
    """The share of the images that show it which were allowed."""


@dataclass(frozen=True, slots=True)
class SampleEstimate:
    """What a labelled sample says of everything that it was drawn from."""

    images: int
    """Images that it was drawn from."""
    drawn: int
    labelled: int
    not_drawn_from: int
    """Images in strata of which none was drawn: they were allowed, so that prevalence and recall are unknown."""
    confidence: float
    overall: CategoryEstimate
    categories: tuple[CategoryEstimate, ...]
    """Of each category that is labelled or flagged, in the taxonomy's order and then by name."""


def estimate(rows: Sequence[LabelledImage], source: object, confidence: float = CONFIDENCE) -> SampleEstimate:
    """Estimate from all rows of a sample; raise `LabelsIncompleteError`, naming `source`, if a stratum has no label."""
    first = rows[0].image
    drawn_from = {row.image.stratum: row.image.stratum_images for row in rows}
    sample = _LabelledSample(rows, source, first.images, first.images - sum(drawn_from.values()), confidence)
    found = {name for row in rows for name in row.image.flagged_categories | (row.labels or frozenset())}
    ordered = [*(name for name in NAMES if name in found), *sorted(found - set(NAMES))]
    return SampleEstimate(
        images=first.images,
        drawn=len(rows),
        labelled=len(sample.labelled),
        not_drawn_from=sample.not_drawn_from,
        confidence=confidence,
        overall=sample.of(None),
        categories=tuple(sample.of(name) for name in ordered),
    )


class _LabelledSample:
    """Labelled images with their weights."""

    def __init__(
        self, rows: Sequence[LabelledImage], source: object, images: int, not_drawn_from: int, confidence: float
    ) -> None:
        self.labelled = [(row.image, row.labels) for row in rows if row.labels is not None]
        self.not_drawn_from = not_drawn_from
        self._images, self._confidence = images, confidence
        counts = Counter(image.stratum for image, _ in self.labelled)
        _refuse_unlabelled({row.image.stratum: row.image.stratum_images for row in rows}, counts, source)
        self._weights = np.array([image.stratum_images / counts[image.stratum] for image, _ in self.labelled])
        self._allowed = np.array([image.decision == "allow" for image, _ in self.labelled])

    def of(self, category: str | None) -> CategoryEstimate:
        """Estimate the figures of one category, or of all together."""
        shows = np.array([bool(labels) if category is None else category in labels for _, labels in self.labelled])
        flagged = (
            ~self._allowed
            if category is None
            else np.array([category in image.flagged_categories for image, _ in self.labelled])
        )
        among_flagged = (self._count(shows & flagged), self._count(~shows & flagged))
        among_shown = (among_flagged[0], self._count(shows & ~flagged, anywhere=True))
        by_decision = (self._count(shows & self._allowed, anywhere=True), self._count(shows & ~self._allowed))
        return CategoryEstimate(
            category,
            int(shows.sum()),
            int(flagged.sum()),
            prevalence=self._known(share_of_all(self._count(shows, anywhere=True), self._images, self._confidence)),
            precision=share_of_two(*among_flagged, self._confidence),
            recall=self._known(share_of_two(*among_shown, self._confidence)),
            missed=self._known(share_of_two(*by_decision, self._confidence)),
        )

    def _count(self, is_kind: Flags, *, anywhere: bool = False) -> SampledCount:
        """Count images of a kind, which are only among those that were not allowed, or anywhere."""
        where = self._weights if anywhere else self._weights[~self._allowed]
        return SampledCount.of(is_kind, self._weights, float(where.max(initial=1.0)))

    def _known(self, figure: Estimate) -> Estimate:
        return UNKNOWN if self.not_drawn_from else figure


def _refuse_unlabelled(strata: dict[str, int], counts: Counter[str], source: object) -> None:
    """Raise `LabelsIncompleteError` if strata have no label: of their images nothing is known."""
    missing = {name: images for name, images in strata.items() if not counts[name]}
    if missing:
        named = ", ".join(f"{name!r} ({images:,} images)" for name, images in [*missing.items()][:_MOST_NAMED])
        detail = (
            f"{len(missing)} of {len(strata)} strata have no labelled image, such as {named}: label at least one image"
            " of each, and better all"
        )
        raise LabelsIncompleteError(path=source, detail=detail)
