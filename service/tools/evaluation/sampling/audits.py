"""Estimates from audits how much of what was allowed the full questions would not have allowed. Pure.

Each allowed image was chosen with the probability `share`, which may have changed over time, so a chosen image stands
for 1 / share images (Horvitz and Thompson). Chosen images that were left out count through those of their policy and
day that were audited: the weights of these rise until they stand for both. At last the weights of a policy are scaled
to the number of images that it allowed in that time, as far as the archive has their verdicts.

Labels say what an image truly shows. Audits that found something and those that found nothing are labelled in
different shares; each labelled one stands for those of its kind that were not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from service.policy.taxonomy import NAMES
from service.tools.evaluation.sampling.intervals import (
    CONFIDENCE,
    Estimate,
    Flags,
    Floats,
    SampledCount,
    share_of_all,
    share_of_two,
)

MIN_AUDITS = 100
"""With fewer an interval is so wide that it says nothing: without a find, its upper end is 3.6 %."""
MIN_DONE = 0.5
"""With less of the chosen images audited, what is estimated is more assumption than observation."""


@dataclass(frozen=True, slots=True)
class ChosenImage:
    """An allowed image that was chosen for an audit."""

    tenant: str
    image_id: str
    policy: str
    day: date
    share: float
    """The probability with which it was chosen."""
    found: frozenset[str] | None
    """Categories that the audit does not allow; None for an image that was left out."""
    is_flagged: bool = False
    """Whether the audit does not allow it, for a category or for anything else."""
    labels: frozenset[str] | None = None
    """What people say that it shows; None without a label."""
    is_stored: bool = True
    """Whether the archive has its live verdict: those of HTTP requests are in no topic."""


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """What a policy decided live while audits were chosen."""

    allowed: int
    """Images that a model judged and the policy allowed."""
    flagged: Mapping[str | None, int]
    """Images that it sent to review or block, by category; None for any."""


@dataclass(frozen=True, slots=True)
class CategoryMisses:
    """What audits say of one category, or of all together."""

    category: str | None
    """None for all together: an image counts if it was not allowed for any reason."""
    found: int
    """Audits that do not allow the image for it."""
    missed: Estimate
    """The share of the allowed images that the full questions would not have allowed for it."""
    recall: Estimate
    """Of the images that were flagged for it live, or would have been by the full questions: the share of the former.
    All that was flagged counts as rightly so."""
    truly_missed: Estimate | None
    """The share of the allowed images that people say show it; None without labels."""
    true_recall: Estimate | None
    """As `recall`, with what people say of the allowed images."""


@dataclass(frozen=True, slots=True)
class PolicyMisses:
    """What audits say of one policy."""

    policy: str
    chosen: int
    audited: int
    labelled: int
    done: float
    """The share of the chosen images that were audited, by weight."""
    allowed: float
    """Images that the policy allowed in that time: counted in the archive, and estimated for those that it lacks."""
    represented: float
    """The images that the chosen ones stand for, as a share of `allowed`: far from 1, audits were off or lost."""
    refused: str | None
    """Why nothing is estimated; None where something is."""
    overall: CategoryMisses | None
    categories: tuple[CategoryMisses, ...]
    """Of each category that was found, flagged or labelled, in the taxonomy's order and then by name."""
    is_lower_bound: bool
    """Whether no audit without a find was labelled: what is truly missed may be more."""


def estimate_misses(
    chosen: Sequence[ChosenImage],
    live: Mapping[str, LiveCounts],
    *,
    confidence: float = CONFIDENCE,
    min_audits: int = MIN_AUDITS,
    min_done: float = MIN_DONE,
) -> tuple[PolicyMisses, ...]:
    """Return an estimate for each policy, by name; one with too few audits says so instead."""
    by_policy: dict[str, list[ChosenImage]] = {}
    for image in chosen:
        by_policy.setdefault(image.policy, []).append(image)
    return tuple(
        _of_policy(name, by_policy[name], live.get(name), confidence, min_audits=min_audits, min_done=min_done)
        for name in sorted(by_policy)
    )


def _of_policy(
    policy: str,
    chosen: Sequence[ChosenImage],
    live: LiveCounts | None,
    confidence: float,
    *,
    min_audits: int,
    min_done: float,
) -> PolicyMisses:
    audited = [image for image in chosen if image.found is not None]
    chosen_weight, done_weight = sum(1 / each.share for each in chosen), sum(1 / each.share for each in audited)
    stored_weight = sum(1 / each.share for each in chosen if each.is_stored)
    stored = float(live.allowed) if live is not None and live.allowed else stored_weight
    allowed = stored + chosen_weight - stored_weight
    refused = _refusal(len(audited), done_weight / chosen_weight, min_audits=min_audits, min_done=min_done)
    labelled = [image for image in audited if image.labels is not None]
    overall: CategoryMisses | None = None
    categories: tuple[CategoryMisses, ...] = ()
    if refused is None:
        sample = _AuditedSample(chosen, audited, allowed, live, confidence)
        overall, categories = sample.of(None), tuple(sample.of(name) for name in sample.names())
    return PolicyMisses(
        policy=policy,
        chosen=len(chosen),
        audited=len(audited),
        labelled=len(labelled),
        done=done_weight / chosen_weight,
        allowed=allowed,
        represented=chosen_weight / allowed,
        refused=refused,
        overall=overall,
        categories=categories,
        is_lower_bound=bool(labelled) and all(image.is_flagged for image in labelled),
    )


def _refusal(audited: int, done: float, *, min_audits: int, min_done: float) -> str | None:
    if audited < min_audits:
        return f"{audited:,} images were audited and {min_audits:,} are needed: raise policy.audit_share, or wait"
    if done < min_done:
        return (
            f"{done:.0%} of the chosen images were audited and {min_done:.0%} are needed: the engine had no room for"
            " the others, and nothing is known of them; lower policy.audit_share, or add capacity"
        )
    return None


class _AuditedSample:
    """The audited images of one policy with their weights."""

    def __init__(
        self,
        chosen: Sequence[ChosenImage],
        audited: Sequence[ChosenImage],
        allowed: float,
        live: LiveCounts | None,
        confidence: float,
    ) -> None:
        self._audited, self._allowed, self._live, self._confidence = audited, allowed, live, confidence
        self._weights = _weights(chosen, audited, allowed)
        self._is_stored = np.array([image.is_stored for image in audited])
        self._flagged = np.array([image.is_flagged for image in audited])
        self._is_labelled = np.array([image.labels is not None for image in audited])
        self._label_weights = _label_weights(self._weights, self._flagged, self._is_labelled)

    def names(self) -> Sequence[str]:
        """Return the categories that anything is known of, in the taxonomy's order."""
        known = {
            name for image in self._audited for name in (image.found or frozenset()) | (image.labels or frozenset())
        }
        known |= {name for name in (self._live.flagged if self._live else ()) if name is not None}
        return [*(name for name in NAMES if name in known), *sorted(known - set(NAMES))]

    def of(self, category: str | None) -> CategoryMisses:
        """Estimate the figures of one category, or of all together."""
        found = self._flagged if category is None else self._has([image.found for image in self._audited], category)
        truly_missed = true_recall = None
        if self._is_labelled.any():
            shown = self._has([image.labels for image in self._audited], category) & self._is_labelled
            truly_missed = self._share(shown, self._label_weights)
            true_recall = self._recall(category, shown, self._label_weights)
        return CategoryMisses(
            category,
            found=int(found.sum()),
            missed=self._share(found, self._weights),
            recall=self._recall(category, found, self._weights),
            truly_missed=truly_missed,
            true_recall=true_recall,
        )

    def _has(self, sets: Sequence[frozenset[str] | None], category: str | None) -> Flags:
        return np.array([bool(names) if category is None else category in (names or ()) for names in sets])

    def _share(self, missed: Flags, weights: Floats) -> Estimate:
        count = SampledCount.of(missed, weights, float(weights.max()))
        return share_of_all(count, max(1, round(self._allowed)), self._confidence)

    def _recall(self, category: str | None, missed: Flags, weights: Floats) -> Estimate:
        """Return flagged / (flagged + missed) of images in the archive: there, the flagged ones are counted."""
        if self._live is None:
            return Estimate(None, 0.0, 1.0)
        count = SampledCount.of(missed & self._is_stored, weights, float(weights.max()))
        flagged = SampledCount(float(self._live.flagged.get(category, 0)), 0.0, 0.0, 1.0)
        return share_of_two(flagged, count, self._confidence)


def _weights(chosen: Sequence[ChosenImage], audited: Sequence[ChosenImage], allowed: float) -> Floats:
    """Return how many allowed images each audited one stands for, at least itself."""
    of_chosen: dict[date, float] = {}
    of_audited: dict[date, float] = {}
    for image in chosen:
        of_chosen[image.day] = of_chosen.get(image.day, 0.0) + 1 / image.share
    for image in audited:
        of_audited[image.day] = of_audited.get(image.day, 0.0) + 1 / image.share
    weights = np.array([of_chosen[image.day] / of_audited[image.day] / image.share for image in audited])
    # Days without any audit, and the archive's count: what is left is shared by all.
    return np.asarray(np.maximum(weights * (allowed / weights.sum()), 1.0), dtype=np.float64)


def _label_weights(weights: Floats, flagged: Flags, is_labelled: Flags) -> Floats:
    """Return how many allowed images each labelled one stands for; 0 for others."""
    result = np.zeros_like(weights)
    for kind in (flagged, ~flagged):
        labelled = weights[kind & is_labelled].sum()
        if labelled:
            result[kind & is_labelled] = weights[kind & is_labelled] * (weights[kind].sum() / labelled)
    return result
