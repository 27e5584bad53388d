"""Pure: below which scores a cheaper first pass may clear an image, for a recall against the full pass.

The recall is the share of images that the full pass does not allow which the first pass sends on to it. One number is
solved, the *ratio*: an image is cleared if the first pass's score of each category is below that ratio of the
category's lowest threshold. Half of the images choose it; the loss is stated from the other half, which had no part in
the choice.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.policy.policy import Policy
from service.tools.evaluation.quality.calibration_error import Flags, Floats
from service.tools.evaluation.thresholds.ranking import MeasuredShare, Ranking, images_to_afford, measured
from service.tools.evaluation.thresholds.solver import NotSupported, solve
from service.tools.evaluation.thresholds.target import Target

DEFAULT_RECALL = 0.99
FIRST_PASS_CONFIDENCE = 0.95
"""One sided. With it a recall of 0.99 takes about 300 images of each half, none of them lost: the rule of three."""

_LARGEST_RATIO = 0.99
"""A policy wants thresholds of the first pass below its own."""
_DIGITS = 4
"""Significant digits of a written threshold."""
_UNRULED = 1.0
"""Of a category without thresholds, which decides nothing."""


@dataclass(frozen=True, slots=True)
class TwoPasses:
    """What both passes found in one image."""

    image_id: str
    first: Mapping[str, float]
    """Scores of the first pass, for each category that both passes cover."""
    is_allowed: bool
    """By the full pass."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What thresholds of the first pass do to some images."""

    images: int
    cleared: MeasuredShare
    """Of all images."""
    recall: MeasuredShare
    """Of the images that the full pass does not allow, those that are sent on to it."""
    lost: Sequence[str]
    """Identifiers of the images that the full pass does not allow and the first pass clears, at most `MAX_LOST`."""


MAX_LOST = 100


@dataclass(frozen=True, slots=True)
class SolvedFirstPass:
    """Thresholds of a first pass, and what they do."""

    clear_below: Mapping[str, float]
    """By category: each that the policy has a rule for."""
    ratio: float
    """Of each category's lowest threshold."""
    target: float
    confidence: float
    chosen_on: Measured
    """The half that the ratio was chosen on: it looks better than it is."""
    held_out: Measured
    """The other half."""


@dataclass(frozen=True, slots=True)
class FirstPassNotSolved:
    """Why there are no thresholds."""

    detail: str
    more_positives: int | None
    """How many more images that the full pass does not allow are about enough; None where they do not help."""


def lowest_thresholds(policy: Policy) -> Mapping[str, float]:
    """Return the lowest threshold of each category that a policy has one for, labels included."""
    found = {name: [each for _, each in rule.thresholds()] for name, rule in policy.categories.items()}
    return {name: min(thresholds) for name, thresholds in found.items() if thresholds}


def solve_first_pass(
    policy: Policy,
    images: Sequence[TwoPasses],
    *,
    recall: float = DEFAULT_RECALL,
    confidence: float = FIRST_PASS_CONFIDENCE,
    seed: int = 0,
) -> SolvedFirstPass | FirstPassNotSolved:
    """Return the thresholds that clear the most images while the lower confidence limit of the recall reaches a target.

    `recall` and `confidence` are in (0, 1); the confidence is one sided. The images are halved by chance, those that
    the full pass allows and the others each for themselves. The thresholds cover every category of the policy,
    child_safety among them: whether the first pass may clear an image of it is the caller's question.
    """
    lowest = lowest_thresholds(policy)
    covered = _covered(lowest, images)
    if isinstance(covered, FirstPassNotSolved):
        return covered
    known, other = _halves([not each.is_allowed for each in images], seed)
    chosen_on, held_out = [images[place] for place in known], [images[place] for place in other]
    ranking = Ranking(_risks(chosen_on, covered), np.array([not each.is_allowed for each in chosen_on], dtype=np.bool_))
    needed = images_to_afford(0, recall, confidence)
    if ranking.positive_count < needed:
        return _too_few(ranking.positive_count, needed, recall, confidence)
    found = solve(ranking, [Target("first_pass", "recall", recall)], confidence, _LARGEST_RATIO)
    clear_below = {} if isinstance(found, NotSupported) else _clear_below(policy, lowest, found.threshold)
    if isinstance(found, NotSupported) or not all(clear_below.values()):
        detail = "the first pass gives some of the images that the full pass does not allow a score of 0 or nearly so"
        return FirstPassNotSolved(f"{detail}: no threshold above keeps the recall", None)
    kept = measure(held_out, clear_below)
    if kept.recall.high < recall:
        detail = f"on the half of the images that did not choose the thresholds the recall is {kept.recall.value:.3f}"
        return FirstPassNotSolved(f"{detail}, which chance does not explain: are there repeats among the images?", None)
    return SolvedFirstPass(
        clear_below, found.threshold, recall, confidence, chosen_on=measure(chosen_on, clear_below), held_out=kept
    )


def _covered(lowest: Mapping[str, float], images: Sequence[TwoPasses]) -> Mapping[str, float] | FirstPassNotSolved:
    """Return the lowest thresholds of the categories that the engines cover, or why no image can be cleared."""
    found = {frozenset(each.first) for each in images}
    if len(found) > 1:
        odd = ", ".join(sorted(frozenset.union(*found) - frozenset.intersection(*found)))
        return FirstPassNotSolved(f"the images differ in whether the first pass covers {odd}", None)
    if zero := sorted(name for name, threshold in lowest.items() if threshold <= 0.0):
        detail = f"the policy acts on any score of {', '.join(zero)}: no score is below a threshold of 0"
        return FirstPassNotSolved(detail, None)
    covers = next(iter(found), frozenset())
    return {name: threshold for name, threshold in lowest.items() if name in covers}


def measure(images: Sequence[TwoPasses], clear_below: Mapping[str, float]) -> Measured:
    """Return what thresholds of the first pass do to images.

    An image is cleared if every score is below its category's threshold, as in the service.
    """
    cleared = np.array([_is_cleared(each, clear_below) for each in images], dtype=np.bool_)
    harmful = np.array([not each.is_allowed for each in images], dtype=np.bool_)
    lost = [each.image_id for each, is_lost in zip(images, cleared & harmful, strict=True) if is_lost]
    return Measured(
        images=len(images),
        cleared=measured(int(cleared.sum()), len(images)),
        recall=measured(int((~cleared & harmful).sum()), int(harmful.sum())),
        lost=lost[:MAX_LOST],
    )


def _is_cleared(image: TwoPasses, clear_below: Mapping[str, float]) -> bool:
    given = ((image.first[name], below) for name, below in clear_below.items() if name in image.first)
    return all(score < below for score, below in given if below < _UNRULED)


def _risks(images: Sequence[TwoPasses], lowest: Mapping[str, float]) -> Floats:
    """Return for each image the highest score of the first pass as a ratio of its category's lowest threshold."""
    found = [max((each.first[name] / limit for name, limit in lowest.items()), default=0.0) for each in images]
    return np.array(found, dtype=np.float64)


def _halves(is_harmful: Sequence[bool], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    flags: Flags = np.array(is_harmful, dtype=np.bool_)
    halves = [np.array_split(rng.permutation(np.flatnonzero(each)), 2) for each in (flags, ~flags)]
    first, second = (np.sort(np.concatenate(parts)) for parts in zip(*halves, strict=True))
    return first, second


def _clear_below(policy: Policy, lowest: Mapping[str, float], ratio: float) -> Mapping[str, float]:
    return {name: _rounded_down(lowest[name] * ratio) if name in lowest else _UNRULED for name in policy.categories}


def _rounded_down(value: float) -> float:
    """Return a number with few digits that is no higher, so that it clears no other image."""
    if value <= 0.0:
        return 0.0
    scale = 10.0 ** (_DIGITS - 1 - math.floor(math.log10(value)))
    return math.floor(value * scale) / scale


def _too_few(found: int, needed: int, recall: float, confidence: float) -> FirstPassNotSolved:
    more = 2 * (needed - found)
    return FirstPassNotSolved(
        f"half of the images has {found} that the full pass does not allow, and {needed} are the fewest that prove a"
        f" recall of {recall:g} with {confidence:.0%} confidence, even if none is lost (at 95 % about"
        " 3 / (1 - recall), the rule of three)",
        more,
    )
