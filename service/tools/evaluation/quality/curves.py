"""Pure: the curves of one category, at most so many points of each, for reports."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.tools.evaluation.quality.cells import cells_of
from service.tools.evaluation.quality.outcomes import Outcomes

MAX_POINTS = 200
"""More cannot be distinguished in a picture, and a report holds curves of twenty categories."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The figures if every score from a threshold upwards were flagged."""

    threshold: float
    precision: float
    recall: float
    false_positive_rate: float


def curve(outcomes: Outcomes) -> Sequence[CurvePoint]:
    """Return precision, recall and false-positive rate by threshold, the highest threshold first.

    Empty without positives or without negatives: there is no curve then.
    """
    if not outcomes.truth.any() or outcomes.truth.all():
        return ()
    cells = cells_of(outcomes)
    weights = cells.actual()[0]
    hits, false_alarms = (np.cumsum(weights * part)[cells.ends] for part in (cells.truth, ~cells.truth))
    thresholds = cells.score[cells.ends]
    return [
        CurvePoint(
            threshold=float(thresholds[place]),
            precision=float(hits[place] / (hits[place] + false_alarms[place])),
            recall=float(hits[place] / hits[-1]),
            false_positive_rate=float(false_alarms[place] / false_alarms[-1]),
        )
        for place in _spread(len(thresholds))
    ]


def _spread(points: int) -> NDArray[np.intp]:
    """Return places of points, the first and the last among them."""
    return np.unique(np.linspace(0, points - 1, min(points, MAX_POINTS)).round().astype(np.intp))
