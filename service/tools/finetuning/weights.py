"""Pure: how much each question counts, so that a rare category is learnt as well as a common one."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.tools.finetuning.examples import Kind
from service.tools.finetuning.image_questions import Question

LEAST, MOST = 0.25, 4.0
"""Bounds of a weight before it is scaled: a category of three images must not outweigh all others."""


@dataclass(frozen=True, slots=True)
class Balance:
    """The weights of the training part's questions."""

    factors: Mapping[tuple[Kind, str], float]
    means: Mapping[Kind, float]

    def weight(self, question: Question) -> float:
        """Return the weight of a question; of each kind, the weights of all training questions have the mean 1."""
        return _raw(question, self.factors) / self.means[question.kind]


def balance(questions: Iterable[Question]) -> Balance:
    """Count the training part's questions; categories, and yes and no of each, come to count alike within bounds."""
    counts: Counter[tuple[Kind, str]] = Counter()
    alike: Counter[tuple[Kind, tuple[str, ...]]] = Counter()
    for question in questions:
        counts.update((question.kind, name) for name in question.balanced_as)
        alike[question.kind, question.balanced_as] += 1
    factors = {key: _bounded(_mean_count(counts, key[0]) / count) for key, count in counts.items()}
    totals: Counter[Kind] = Counter()
    means: dict[Kind, float] = {}
    for (kind, names), count in alike.items():
        totals[kind] += count
        means[kind] = means.get(kind, 0.0) + count * _raw(Question(kind, "", balanced_as=names), factors)
    return Balance(factors, {kind: means[kind] / totals[kind] for kind in means})


def _raw(question: Question, factors: Mapping[tuple[Kind, str], float]) -> float:
    names = question.balanced_as
    return sum(factors[question.kind, name] for name in names) / len(names) if names else 1.0


def _mean_count(counts: Mapping[tuple[Kind, str], int], kind: Kind) -> float:
    found = [count for (of, _), count in counts.items() if of == kind]
    return sum(found) / len(found)


def _bounded(factor: float) -> float:
    return min(MOST, max(LEAST, factor))
