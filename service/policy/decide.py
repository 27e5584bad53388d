"""Turns scores into a decision with reasons. Pure and total; a higher score never gives a milder decision."""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Literal

from schemas.base import Decision
from schemas.verdict import ReasonV1
from service.policy.errors import UnusableScoresError
from service.policy.policy import CategoryRule, Policy

Scores = Mapping[str, float]

_SEVERITY: Mapping[Decision, int] = {"allow": 0, "review": 1, "block": 2}


@dataclass(frozen=True, slots=True)
class DecisionResult:
    """A policy's decision about one image, with its reasons."""

    status: Literal["moderated", "not_moderated"]
    decision: Decision
    deciding_category: str | None
    """The category that decided. None for `allow`, and without scores."""
    reasons: tuple[ReasonV1, ...]
    """Gravest first; one with the decision `allow` is a label."""
    not_covered: tuple[str, ...]
    """Categories that the engine does not cover: the taxonomy's in its order, then the policy's own."""


@dataclass(frozen=True, slots=True)
class _Finding:
    """A threshold that a score reached."""

    category: str
    score: float
    threshold: float
    decision: Decision
    capped: bool
    """The threshold was for block, but the engine only hints at this category."""

    @property
    def rank(self) -> tuple[int, float]:
        """Graver decisions first, then the clearer ones."""
        return _SEVERITY[self.decision], self.score - self.threshold


def decide(
    policy: Policy, scores: Scores | None, covers: Set[str], hints: Set[str], *, unjudged: str | None = None
) -> DecisionResult:
    """Apply a policy to the scores of one image.

    `covers` are the categories that the engine scores, `hints` those of them that may send to review but never block.
    Without scores (None, or an engine that covers nothing) the result is `not_moderated`, decided as the policy says;
    `unjudged` is the engine's reason code for that, if it has one.
    Raises `UnusableScoresError` if the scores are not exactly probabilities for `covers`.
    """
    if not scores:
        return _not_moderated(policy, unjudged or "engine_does_not_judge")
    _check(scores, covers, known=set(policy.names))
    findings = sorted(_findings(policy, scores, hints), key=lambda finding: finding.rank, reverse=True)
    decision = findings[0].decision if findings else "allow"
    return DecisionResult(
        status="moderated",
        decision=decision,
        deciding_category=None if decision == "allow" else findings[0].category,
        reasons=tuple(_reason(finding) for finding in findings),
        not_covered=tuple(name for name in policy.names if name not in covers),
    )


def worst_of(frames: Iterable[Scores | None]) -> Scores | None:
    """Return each category's highest score among frames; None if a frame was not judged, or there is none.

    Raises `UnusableScoresError` for what is no probability: a maximum would hide it.
    """
    worst: dict[str, float] = {}
    for scores in frames:
        if scores is None:
            return None
        _check_probabilities(scores)
        for name, score in scores.items():
            worst[name] = max(score, worst.get(name, 0.0))
    return worst or None


def _not_moderated(policy: Policy, code: str) -> DecisionResult:
    decision = policy.when_not_moderated
    reason = ReasonV1(
        code=code,
        decision=decision,
        message=f"No model judged the image; the policy decides {decision} as a precaution",
    )
    return DecisionResult("not_moderated", decision, None, (reason,), policy.names)


def _check(scores: Scores, covers: Set[str], *, known: Set[str]) -> None:
    if scores.keys() != covers:
        odd = ", ".join(sorted(scores.keys() ^ covers))
        raise UnusableScoresError(detail=f"scores and covered categories differ in {odd}")
    outside = sorted(name for name in covers if name not in known)
    if outside:
        raise UnusableScoresError(detail=f"neither in the taxonomy nor in the policy: {', '.join(outside)}")
    _check_probabilities(scores)


def _check_probabilities(scores: Scores) -> None:
    # Written so that NaN, which no comparison holds for, is caught too.
    wrong = sorted(name for name, score in scores.items() if not 0.0 <= score <= 1.0)
    if wrong:
        raise UnusableScoresError(detail=f"no probability: {', '.join(wrong)}")


def _findings(policy: Policy, scores: Scores, hints: Set[str]) -> Iterator[_Finding]:
    """Yield in the taxonomy's order and then the policy's own, which a stable sort keeps among equals."""
    for name in policy.names:
        if name in scores and name in policy.categories:
            finding = _judge(name, scores[name], policy.categories[name], is_hint=name in hints)
            if finding is not None:
                yield finding


def _judge(name: str, score: float, rule: CategoryRule, *, is_hint: bool) -> _Finding | None:
    """Return the gravest threshold that the score reaches."""
    if rule.block is not None and score >= rule.block:
        return _Finding(name, score, rule.block, "review" if is_hint else "block", capped=is_hint)
    if rule.review is not None and score >= rule.review:
        return _Finding(name, score, rule.review, "review", capped=False)
    if rule.label is not None and score >= rule.label:
        return _Finding(name, score, rule.label, "allow", capped=False)
    return None


def _reason(finding: _Finding) -> ReasonV1:
    outcome = "label only" if finding.decision == "allow" else finding.decision
    note = ", as the engine only hints at this category" if finding.capped else ""
    return ReasonV1(
        code="score_over_threshold",
        category=finding.category,
        score=finding.score,
        threshold=finding.threshold,
        decision=finding.decision,
        message=f"{finding.category} {finding.score:.2f} reaches {finding.threshold:.2f}: {outcome}{note}",
    )
