"""Pure: new thresholds for a policy from labelled images: for targets, or for the lowest bill."""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from service.policy.policy import MAX_CHILD_SAFETY_REVIEW, CategoryRule, Policy
from service.policy.taxonomy import CHILD_SAFETY
from service.tools.evaluation.thresholds.policy_edit import NewRule
from service.tools.evaluation.thresholds.ranking import Kept, Ranking
from service.tools.evaluation.thresholds.solver import NotSupported, solve, solved_threshold
from service.tools.evaluation.thresholds.target import Outcome, Target

SPLITS = 100


@dataclass(frozen=True, slots=True)
class HeldOut:
    """How often thresholds that were solved on one half of the images keep their targets on the other."""

    kept: int
    solved: int
    """Splits of `SPLITS` in which half of the images supports a threshold at all."""

    def __str__(self) -> str:
        return f"{self.kept} of {self.solved}" if self.solved else "untried: a half is too small"


@dataclass(frozen=True, slots=True)
class Solved:
    """One solved threshold."""

    category: str
    outcome: Outcome
    targets: Sequence[Target]
    found: Kept
    held_out: HeldOut


@dataclass(frozen=True, slots=True)
class Solution:
    """What the labelled images say about targets."""

    solved: Sequence[Solved]
    not_supported: Sequence[NotSupported]
    rules: Mapping[str, NewRule]
    """New rules by category, if every target is supported; empty otherwise."""


def solve_targets(
    policy: Policy,
    rankings: Mapping[str, Ranking],
    targets: Sequence[Target],
    *,
    hints: Set[str],
    confidence: float,
    seed: int,
) -> Solution:
    """Return thresholds that keep all targets; categories of the targets are in the policy."""
    grouped: dict[tuple[str, Outcome], list[Target]] = defaultdict(list)
    for target in targets:
        grouped[target.category, outcome_of(target, policy.categories[target.category])].append(target)
    solved, problems = [], []
    for (category, outcome), wanted in grouped.items():
        found = _solved(category, outcome, wanted, rankings, hints=hints, confidence=confidence)
        if isinstance(found, NotSupported):
            problems.append(found)
            continue
        cap = _cap(category, outcome)
        held_out = held_out_splits(rankings[category], wanted, confidence, cap=cap, seed=seed)
        solved.append(Solved(category, outcome, wanted, found, held_out))
    rules, contradictions = _rules(policy, solved, confidence)
    problems += contradictions
    return Solution(solved, problems, {} if problems else rules)


def outcome_of(target: Target, rule: CategoryRule) -> Outcome:
    """Return the threshold that a target is about.

    Precision is a matter of blocking and recall one of not allowing, as far as the policy does both.
    """
    if target.outcome is not None:
        return target.outcome
    if target.metric == "precision":
        return "review" if rule.block is None else "block"
    return "block" if rule.review is None and rule.block is not None else "review"


def held_out_splits(
    ranking: Ranking, targets: Sequence[Target], confidence: float, *, cap: float, seed: int
) -> HeldOut:
    """Solve thresholds on one half of the images and check them on the other, for a number of random halves."""
    rng = np.random.default_rng(seed)
    kept = solved = 0
    for _ in range(SPLITS):
        order = rng.permutation(len(ranking.scores))
        known, other = (_part(ranking, half) for half in np.array_split(order, 2))
        threshold = solved_threshold(known, targets, confidence, cap)
        if threshold is not None:
            solved += 1
            kept += all(_is_kept(other, target, threshold) for target in targets)
    return HeldOut(kept, solved)


def _part(ranking: Ranking, places: "np.typing.NDArray[np.int64]") -> Ranking:
    return Ranking(ranking.scores[places], ranking.positives[places])


def _is_kept(ranking: Ranking, target: Target, threshold: float) -> bool:
    flagged = ranking.scores >= threshold
    hits = int((flagged & ranking.positives).sum())
    images = int(flagged.sum()) if target.metric == "precision" else ranking.positive_count
    return not images or hits / images >= target.share


def _cap(category: str, outcome: Outcome) -> float:
    return MAX_CHILD_SAFETY_REVIEW if (category, outcome) == (CHILD_SAFETY, "review") else 1.0


def _solved(
    category: str,
    outcome: Outcome,
    targets: Sequence[Target],
    rankings: Mapping[str, Ranking],
    *,
    hints: Set[str],
    confidence: float,
) -> Kept | NotSupported:
    if outcome == "block" and category in hints:
        detail = "the engine only hints at this category, which never blocks: name review in the target"
        return NotSupported(targets[0], detail, None)
    if category not in rankings:
        detail = "no image has both a label and a score for it: the engine does not cover it, or no label is about it"
        return NotSupported(targets[0], detail, None)
    return solve(rankings[category], targets, confidence, _cap(category, outcome))


def _rules(
    policy: Policy, solved: Sequence[Solved], confidence: float
) -> tuple[Mapping[str, NewRule], Sequence[NotSupported]]:
    rules, problems = {}, []
    for category in dict.fromkeys(each.category for each in solved):
        own = {each.outcome: each for each in solved if each.category == category}
        comments = [_comment(each, confidence) for each in own.values()]
        rule = _ascending(policy.categories[category], own, comments)
        if isinstance(rule, NotSupported):
            problems.append(rule)
        else:
            rules[category] = rule
    return rules, problems


def _comment(solved: Solved, confidence: float) -> str:
    found = solved.found
    share = found.precision if solved.targets[0].metric == "precision" else found.recall
    return (
        f"{solved.outcome} {found.threshold:g} for {' and '.join(str(target) for target in solved.targets)} with"
        f" {confidence:.1%} confidence: measured {share.value:.3f} ({share.low:.3f} to {share.high:.3f}) on"
        f" {share.images:,} images"
    )


def _ascending(rule: CategoryRule, solved: Mapping[Outcome, Solved], comments: Sequence[str]) -> NewRule | NotSupported:
    """Return a rule whose thresholds ascend; one that is in the way of a solved one is moved to it."""
    thresholds: dict[str, float] = {outcome: each.found.threshold for outcome, each in solved.items()}
    notes = [*comments]
    whole = {**dict(rule.thresholds()), **thresholds}
    if "review" in whole and "block" in whole and whole["review"] > whole["block"]:
        moved = "block" if _rests_on_precision(solved.get("review")) else "review"
        if moved in solved and _rests_on_precision(solved["review"]):
            both = " and ".join(str(each.targets[0]) for each in solved.values())
            return NotSupported(solved["review"].targets[0], f"no thresholds keep {both} and ascend", None)
        other = "review" if moved == "block" else "block"
        notes.append(f"{moved} moved from {whole[moved]:g} to {whole[other]:g}, where {other} stands")
        thresholds[moved] = whole[moved] = whole[other]
    lowest = min((whole[name] for name in ("review", "block") if name in whole), default=1.0)
    if "label" in whole and whole["label"] > lowest:
        notes.append(f"label moved from {whole['label']:g} to {lowest:g}, where the next outcome stands")
        thresholds["label"] = lowest
    return NewRule(thresholds, notes)


def _rests_on_precision(solved: Solved | None) -> bool:
    """Return whether a lower threshold could break a solved one's targets."""
    return solved is not None and any(target.metric == "precision" for target in solved.targets)
