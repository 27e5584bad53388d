"""Pure: two judgements of the same images, the exact test whether they differ, and intervals of the difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from service.tools.evaluation.quality.bootstrap import CONFIDENCE, DEFAULT_RESAMPLES, DEFAULT_SEED
from service.tools.evaluation.quality.cells import Cells, Matrix, batches
from service.tools.evaluation.quality.metrics import figures
from service.tools.evaluation.quality.outcomes import Flags, Floats

COMPARED = ("precision", "recall", "f1", "average_precision")


@dataclass(frozen=True, slots=True)
class PairedOutcomes:
    """Truth of one category, and what two judged of it; an entry an image."""

    truth: Flags
    scores: tuple[Floats, Floats]
    flagged: tuple[Flags, Flags]


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of both, and how much the second is above the first."""

    first: float | None
    second: float | None
    difference: float | None
    """None where the figure is undefined for one of them."""
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's exact test: were equally many images right only in the one as only in the other?"""

    only_first: int
    """Images that only the first judged as labelled."""
    only_second: int
    p_value: float
    """The probability of a difference as large as this or larger, if both are equally good."""


def mcnemar(first_right: Flags, second_right: Flags) -> McNemar:
    """Test images that exactly one judged as labelled; those on which both agree say nothing."""
    only_first = int((first_right & ~second_right).sum())
    only_second = int((~first_right & second_right).sum())
    differing = only_first + only_second
    p_value = float(binomtest(only_first, differing).pvalue) if differing else 1.0
    return McNemar(only_first, only_second, p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values that are corrected for their number by Holm's method, in the same order."""
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def differences(
    paired: PairedOutcomes, *, resamples: int = DEFAULT_RESAMPLES, seed: int = DEFAULT_SEED
) -> Mapping[str, Difference]:
    """Return the difference of every figure, with the percentile interval of a paired bootstrap.

    Each resample draws images, whatever they show, and takes what both judged of them.
    """
    groups = _Groups(paired)
    actual = groups.figures(groups.count[np.newaxis, :].astype(np.float64))
    generator = np.random.default_rng(seed)
    parts = [groups.figures(groups.resampled(generator, size)) for size in batches(groups.cells[0], resamples)]
    return {name: _difference(name, actual, parts) for name in COMPARED}


class _Groups:
    """Images that are alike in truth and both judgements, with the cells of each judgement in its own order."""

    def __init__(self, paired: PairedOutcomes) -> None:
        table = np.column_stack([paired.truth, *paired.scores, *paired.flagged])
        rows, self.count = np.unique(table, axis=0, return_counts=True)
        self._truth = rows[:, 0].astype(np.bool_)
        self._orders = tuple(np.argsort(-rows[:, 1 + which], kind="stable") for which in (0, 1))
        self.cells = tuple(
            Cells(
                truth=self._truth[order],
                score=rows[order, 1 + which],
                flagged=rows[order, 3 + which].astype(np.bool_),
                weight=np.ones(len(rows)),
                count=self.count[order],
            )
            for which, order in enumerate(self._orders)
        )

    def figures(self, weights: Matrix) -> tuple[Mapping[str, Matrix], ...]:
        """Return the figures of both for each row of weights of the groups."""
        return tuple(figures(cells, weights[:, order]) for cells, order in zip(self.cells, self._orders, strict=True))

    def resampled(self, generator: np.random.Generator, resamples: int) -> Matrix:
        """Return the weights of all groups in resamples; shape (resamples, groups)."""
        images = int(self.count.sum())
        return generator.multinomial(images, self.count / images, size=resamples).astype(np.float64)


def _difference(
    name: str, actual: Sequence[Mapping[str, Matrix]], parts: Sequence[Sequence[Mapping[str, Matrix]]]
) -> Difference:
    first, second = (float(each[name][0]) for each in actual)
    if np.isnan(first) or np.isnan(second):
        return Difference(_defined(first), _defined(second), None, None, None)
    drawn = np.concatenate([part[1][name] - part[0][name] for part in parts])
    tail = (1 - CONFIDENCE) / 2
    # Resamples in which one of the figures is undefined say nothing of the difference.
    low, high = (float(end) for end in np.nanquantile(drawn, [tail, 1 - tail]))
    return Difference(first, second, second - first, low, high)


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else value
