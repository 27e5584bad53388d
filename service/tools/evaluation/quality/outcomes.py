"""Pure: labels beside scores and decisions, as the arrays that all figures are computed from."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.verdict import VerdictV1
from service.policy.judged import JudgedImage, decide_image
from service.policy.policy import Policy
from service.tools.evaluation.datasets.dataset import Dataset, Example
from service.tools.evaluation.quality.predictions import Prediction

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class JudgedExample:
    """An example, and what a policy decides on the scores of its image."""

    example: Example
    scores: Mapping[str, float]
    """By category, of those that the engine covers."""
    flagged: frozenset[str]
    """Categories that the policy acts on: their scores reach a threshold for review or block, or one for a label
    where the policy has no other."""
    ruled: frozenset[str]
    """Categories that the policy has thresholds for."""
    leading: str | None
    """The gravest finding, of those that are flagged; None without one."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Truth and scores of one category, an entry an image whose label is about it and whose score is known."""

    truth: Flags
    score: Floats
    flagged: Flags
    weight: Floats

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def positives(self) -> int:
        """The number of images that show the category."""
        return int(self.truth.sum())


def judged_examples(
    predictions: Iterable[Prediction], policy_of: Callable[[Example], Policy]
) -> Sequence[JudgedExample]:
    """Return what the policies decide on stored scores; examples that no model judged are left out."""
    return [
        judged_example(each.example, each.verdict, policy_of(each.example))
        for each in predictions
        if each.verdict is not None and each.verdict.status == "moderated"
    ]


def judged_example(example: Example, verdict: VerdictV1, policy: Policy) -> JudgedExample:
    """Return what a policy decides on the scores of a verdict."""
    decision = decide_image(policy, JudgedImage.from_verdict(verdict))
    ruled = {name: [*rule.thresholds()] for name, rule in policy.categories.items()}
    labels_only = {name for name, rules in ruled.items() if [outcome for outcome, _ in rules] == ["label"]}
    found = [
        reason.category
        for reason in decision.result.reasons
        if reason.category is not None and (reason.decision != "allow" or reason.category in labels_only)
    ]
    return JudgedExample(
        example,
        scores=decision.counted.scores if decision.counted else {},
        flagged=frozenset(found),
        ruled=frozenset(name for name, rules in ruled.items() if rules),
        leading=found[0] if found else None,
    )


def outcomes_of(dataset: Dataset, judged: Sequence[JudgedExample], category: str) -> Outcomes:
    """Return the truth and the scores of a category; images whose labels are not about it are left out."""
    known = [each for each in judged if category in each.scores and dataset.is_about(each.example, category)]
    return Outcomes(
        truth=np.array([category in each.example.categories for each in known], dtype=np.bool_),
        score=np.array([each.scores[category] for each in known], dtype=np.float64),
        flagged=np.array([category in each.flagged for each in known], dtype=np.bool_),
        weight=np.array([each.example.weight for each in known], dtype=np.float64),
    )
