"""Turns scores into a decision with reasons. Pure and total; a higher score never gives a milder decision."""

from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Literal

from schemas.base import Decision
from schemas.verdict import ReasonV1
from service.core.ambiguity import MEANINGS
from service.policy.errors import UnusableScoresError
from service.policy.policy import CategoryRule, Policy

Scores = Mapping[str, float]

AMBIGUOUS = "image.ambiguous"
"""The code of a reason that rests on what viewers may show otherwise than it was judged."""

_SEVERITY: Mapping[Decision, int] = {"allow": 0, "review": 1, "block": 2}


@dataclass(frozen=True, slots=True)
class DecisionResult:
    """A policy's decision about one image, with its reasons."""

    status: Literal["moderated", "not_moderated"]
    decision: Decision
    deciding_category: str | None
    """The category that decided. None for `allow`, where ambiguity decided, and without scores."""
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
    policy: Policy,
    scores: Scores | None,
    hints: Set[str],
    *,
    unjudged: str | None = None,
    ambiguous: Collection[str] = (),
) -> DecisionResult:
    """Apply a policy to the scores of one image, which are all that the engine covers.

    `hints` are the categories that may send to review but never block. Scores of categories that the policy does not
    know are ignored. Without any other score the result is `not_moderated`, decided as the policy says; `unjudged` is
    the engine's reason code for that, if it has one. `ambiguous` are the features of the image that viewers may show
    otherwise; where a score calls for the same decision, the score decides.
    Raises `UnusableScoresError` if a score is no probability.
    """
    if not scores or scores.keys().isdisjoint(policy.names):
        return _not_moderated(policy, unjudged or "engine_does_not_judge")
    check_probabilities(scores)
    findings = sorted(_findings(policy, scores, hints), key=lambda finding: finding.rank, reverse=True)
    by_scores = tuple(_reason(finding) for finding in findings)
    # Stable: of equal decisions those on scores stay first.
    reasons = sorted((*by_scores, *_ambiguities(policy, ambiguous)), key=lambda reason: -_SEVERITY[reason.decision])
    decision = reasons[0].decision if reasons else "allow"
    return DecisionResult(
        status="moderated",
        decision=decision,
        deciding_category=None if decision == "allow" else reasons[0].category,
        reasons=tuple(reasons),
        not_covered=tuple(name for name in policy.names if name not in scores),
    )


def _not_moderated(policy: Policy, code: str) -> DecisionResult:
    decision = policy.when_not_moderated
    reason = ReasonV1(
        code=code,
        decision=decision,
        message=f"No model judged the image; the policy decides {decision} as a precaution",
    )
    return DecisionResult("not_moderated", decision, None, (reason,), policy.names)


def _ambiguities(policy: Policy, features: Collection[str]) -> Iterator[ReasonV1]:
    """Yield one reason for each feature, by name; of a newer writer's features the policy knows no meaning."""
    for feature in sorted(features):
        decision = policy.decision_on(feature)
        outcome = "label only" if decision == "allow" else decision
        meaning = next((f" ({meaning})" for name, meaning in MEANINGS.items() if name == feature), "")
        message = f"Viewers may show the image differently: {feature}{meaning}: {outcome}"
        yield ReasonV1(code=AMBIGUOUS, feature=feature, decision=decision, message=message)


def check_probabilities(scores: Scores) -> None:
    """Raise `UnusableScoresError` if a score is no probability."""
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
