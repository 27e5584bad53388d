"""Pure: the costs of a policy's decisions on labelled images, and its cheapest thresholds."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from service.policy.policy import MAX_CHILD_SAFETY_REVIEW, CategoryRule, Policy
from service.policy.taxonomy import CHILD_SAFETY
from service.tools.evaluation.datasets.dataset import Dataset
from service.tools.evaluation.quality.outcomes import JudgedExample
from service.tools.evaluation.thresholds.costs import (
    NEVER,
    Cheapest,
    LabelledImages,
    Limits,
    Prices,
    Thresholds,
    cheapest,
)
from service.tools.evaluation.thresholds.policy_edit import NewRule

MIN_IMAGES = 100
"""Harmful, and harmless: thresholds for the lowest bill of fewer follow single images."""


@dataclass(frozen=True, slots=True)
class CheapestPolicy:
    """The cheapest thresholds of a policy."""

    result: Cheapest
    rules: Mapping[str, NewRule]
    """Of the categories whose thresholds change."""
    images: int
    """Labelled images that the bill is of: those whose labels are about every category that was solved."""
    harmful: int


def cheapest_policy(
    policy: Policy,
    dataset: Dataset,
    judged: Sequence[JudgedExample],
    prices: Prices,
    *,
    hints: Set[str],
    volume: int,
    seed: int,
) -> CheapestPolicy | str:
    """Return the cheapest thresholds of the labelled categories, or in words why the images do not suffice."""
    stopping = {name: rule for name, rule in policy.categories.items() if _stops(rule)}
    solvable = {name: rule for name, rule in stopping.items() if name in dataset.labelled}
    known = [each for each in judged if all(dataset.is_about(each.example, name) for name in solvable)]
    covered = {name: rule for name, rule in solvable.items() if any(name in each.scores for each in known)}
    images = _images(known, stopping)
    harmful = int(images.harmful.sum())
    if min(harmful, len(known) - harmful) < MIN_IMAGES:
        return (
            f"{harmful} harmful and {len(known) - harmful} harmless images have labels for all of"
            f" {', '.join(solvable) or 'no category'}; at least {MIN_IMAGES} of each are needed"
        )
    present = {name: _present(rule, is_hint=name in hints) for name, rule in stopping.items()}
    limits = {name: _limits(name, rule, is_hint=name in hints) for name, rule in covered.items()}
    limits = {name: limit for name, limit in limits.items() if limit.may_review or limit.may_block}
    result = cheapest(images, limits, present, prices, volume=volume, seed=seed)
    rules = {
        name: NewRule(_changed(policy.categories[name], found), [_comment(prices, found)])
        for name, found in result.thresholds.items()
        if name in limits and found != present[name]
    }
    return CheapestPolicy(result, rules, len(known), harmful)


def _stops(rule: CategoryRule) -> bool:
    return rule.review is not None or rule.block is not None


def _images(judged: Sequence[JudgedExample], stopping: Mapping[str, CategoryRule]) -> LabelledImages:
    return LabelledImages(
        # Below every threshold, where the engine has no score.
        scores={name: np.array([each.scores.get(name, -1.0) for each in judged]) for name in stopping},
        harmful=np.array([bool(each.example.categories & stopping.keys()) for each in judged], dtype=np.bool_),
        weights=np.array([each.example.weight for each in judged], dtype=np.float64),
    )


def _present(rule: CategoryRule, *, is_hint: bool) -> Thresholds:
    review = NEVER if rule.review is None else rule.review
    block = NEVER if rule.block is None else rule.block
    # A hint that reaches the threshold for block is sent to review.
    return Thresholds(min(review, block), NEVER) if is_hint else Thresholds(review, block)


def _limits(name: str, rule: CategoryRule, *, is_hint: bool) -> Limits:
    # Of a hint the threshold for block stays where it is, and review ascends to it.
    cap = rule.block if is_hint and rule.block is not None else 1.0
    return Limits(
        may_review=rule.review is not None,
        may_block=rule.block is not None and not is_hint,
        max_review=min(cap, MAX_CHILD_SAFETY_REVIEW) if name == CHILD_SAFETY else cap,
    )


def _changed(rule: CategoryRule, found: Thresholds) -> Mapping[str, float]:
    changed = {}
    if rule.review is not None:
        changed["review"] = found.review
    if rule.block is not None and found.block != NEVER:
        changed["block"] = found.block
    lowest = min([*changed.values(), *(value for name, value in rule.thresholds() if name == "block")])
    if rule.label is not None and rule.label > lowest:
        changed["label"] = lowest
    return changed


def _comment(prices: Prices, found: Thresholds) -> str:
    block = "" if found.block == NEVER else f", block {found.block:g}"
    return (
        f"review {found.review:g}{block} for the lowest bill at false_allow={prices.false_allow:g},"
        f" false_block={prices.false_block:g}, review_minute={prices.review_minute:g},"
        f" {prices.review_seconds:g} s a review"
    )
