"""Pure: the threshold that keeps all targets about one outcome of one category, or why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.tools.evaluation.quality.calibration_error import Flags, Floats
from service.tools.evaluation.sampling.label_counts import labels_needed
from service.tools.evaluation.thresholds.ranking import Kept, PrecisionPlan, Ranking, images_to_afford
from service.tools.evaluation.thresholds.target import Target


@dataclass(frozen=True, slots=True)
class NotSupported:
    """Why the labelled images support no threshold for a target."""

    target: Target
    detail: str
    more_labels: int | None
    """How many more labelled images are about enough; None where labels do not help."""


def solve(ranking: Ranking, targets: Sequence[Target], confidence: float, cap: float = 1.0) -> Kept | NotSupported:
    """Return the threshold for targets about one outcome of one category; `cap` is the highest one allowed.

    Of the thresholds that keep a recall the highest is taken, so that the fewest images are flagged; of those that keep
    a precision alone the lowest, so that the most are found.
    """
    usable = _usable(ranking, cap)
    passes = [ranking.keeps(target, confidence) & usable for target in targets]
    place = _place(targets, passes)
    if place is not None:
        return ranking.at(place, cap)
    for target, passing in zip(targets, passes, strict=True):
        if not passing.any():
            return _not_supported(ranking, target, confidence, usable, cap)
    both = " and ".join(str(target) for target in targets)
    return NotSupported(targets[0], f"no threshold keeps {both} together", None)


def solved_threshold(ranking: Ranking, targets: Sequence[Target], confidence: float, cap: float = 1.0) -> float | None:
    """Return the threshold that `solve` finds, without its figures; None if there is none."""
    usable = _usable(ranking, cap)
    place = _place(targets, [ranking.keeps(target, confidence) & usable for target in targets])
    return None if place is None else ranking.threshold_at(place, cap)


def _usable(ranking: Ranking, cap: float) -> Flags:
    # A threshold of 0 flags every image whatever it shows, and decides nothing.
    return np.asarray((_below(ranking) < cap) & (ranking.thresholds > 0.0), dtype=np.bool_)


def _place(targets: Sequence[Target], passes: Sequence[Flags]) -> int | None:
    places = np.flatnonzero(np.logical_and.reduce(passes))
    if not len(places):
        return None
    wants_recall = any(target.metric == "recall" for target in targets)
    return int(places[0] if wants_recall else places[-1])


def _below(ranking: Ranking) -> Floats:
    """Return the score below each threshold: any number above it and up to the threshold flags the same images."""
    return np.append(ranking.thresholds[1:], 0.0)


def _not_supported(ranking: Ranking, target: Target, confidence: float, usable: Flags, cap: float) -> NotSupported:
    if target.metric == "recall":
        return _too_few_positives(ranking, target, confidence)
    return _too_imprecise(ranking, target, confidence, usable, cap)


def _too_few_positives(ranking: Ranking, target: Target, confidence: float) -> NotSupported:
    needed = images_to_afford(0, target.share, confidence)
    found = ranking.positive_count
    if found >= needed:
        detail = "only a threshold of 0 keeps it, which flags every image: too many positives have the lowest score"
        return NotSupported(target, detail, None)
    detail = f"the dataset has {found} images that show it, and {needed} are the fewest that prove such a recall"
    return NotSupported(target, detail, needed - found)


def _too_imprecise(ranking: Ranking, target: Target, confidence: float, usable: Flags, cap: float) -> NotSupported:
    plan = PrecisionPlan.of(len(ranking.scores), target.share, confidence)
    precisions = np.where(usable, ranking.hits / ranking.flagged, 0.0)
    # Of few images every share is possible by chance.
    weighty = usable & (ranking.flagged >= min(plan.starts[0], len(ranking.scores)) / 4)
    if not weighty.any():
        return NotSupported(target, f"no threshold up to {cap:g} flags any number of images", None)
    place = int(np.argmax(np.where(weighty, precisions, -1.0)))
    best, flagged = float(precisions[place]), int(ranking.flagged[place])
    shown = f"the best is {best:.3f} of {flagged} images, at {ranking.at(place, cap).threshold:g}"
    needed = labels_needed(target.share, best, plan.confidence)
    if needed is None or needed <= flagged:
        return NotSupported(target, f"no threshold reaches it: {shown}; more labels do not change that", None)
    more = int(np.ceil((needed - flagged) * len(ranking.scores) / flagged))
    detail = f"{shown}, and about {needed} images so high up prove it if they are as precise"
    return NotSupported(target, detail, more)
