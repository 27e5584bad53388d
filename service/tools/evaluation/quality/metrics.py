"""Pure: a category's figures with intervals: at the live thresholds, over all thresholds, and of its calibration."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from service.tools.evaluation.quality.bootstrap import DEFAULT_RESAMPLES, DEFAULT_SEED, Figure, estimate
from service.tools.evaluation.quality.calibration_error import BINS, bins_of
from service.tools.evaluation.quality.cells import Cells, Matrix, batches, cells_of, coarse, resampled
from service.tools.evaluation.quality.outcomes import Flags, Outcomes

SHARES = {"precision": "flagged", "recall": "positives", "false_positive_rate": "negatives"}
"""Figures that are shares of a number of images, and of which."""

UNDEFINED = {
    "positives": "no image of the dataset shows it",
    "negatives": "every image of the dataset shows it",
    "flagged": "the engine flags no image for it",
}


@dataclass(frozen=True, slots=True)
class CategoryMetrics:
    """The figures of one category."""

    images: int
    """Images whose labels are about the category and that the engine judged for it."""
    positives: int
    true_positives: int
    false_positives: int
    figures: Mapping[str, Figure]
    """By name: precision, recall, f1, false_positive_rate, average_precision, roc_auc, calibration_error."""


FIGURES = ("precision", "recall", "f1", "false_positive_rate", "average_precision", "roc_auc", "calibration_error")
AT_THRESHOLDS = frozenset({"precision", "recall", "f1", "false_positive_rate"})
"""Those that need a threshold of the policy."""


def category_metrics(
    outcomes: Outcomes, *, resamples: int = DEFAULT_RESAMPLES, seed: int = DEFAULT_SEED
) -> CategoryMetrics:
    """Return the figures of one category; one that has no meaning for these outcomes is undefined and says why."""
    if not len(outcomes):
        missing = Figure(undefined="no image was judged for it")
        return CategoryMetrics(0, 0, 0, 0, dict.fromkeys(FIGURES, missing))
    cells = cells_of(outcomes)
    actual, distances = figures(cells, cells.actual()), _distances(outcomes, resamples, seed)
    drawn = {name: actual[name] + distances[name] for name in FIGURES}
    sizes, why_undefined = _sizes(outcomes), partial(_reason, outcomes)
    return CategoryMetrics(
        images=len(outcomes),
        positives=outcomes.positives,
        true_positives=int((outcomes.truth & outcomes.flagged).sum()),
        false_positives=int((~outcomes.truth & outcomes.flagged).sum()),
        figures={
            name: estimate(float(actual[name][0]), drawn[name], trials=sizes.get(name), undefined=why_undefined(name))
            for name in FIGURES
        },
    )


def _distances(outcomes: Outcomes, resamples: int, seed: int) -> Mapping[str, Matrix]:
    """Return how far every figure of a resample is from that of all images; shape (resamples,)."""
    rng, groups = np.random.default_rng(seed), cells_of(coarse(outcomes))
    center = figures(groups, groups.actual())
    parts = [figures(groups, resampled(groups, rng, size)) for size in batches(groups, resamples)]
    return {name: np.concatenate([part[name] for part in parts]) - center[name] for name in FIGURES}


def figures(cells: Cells, weights: Matrix) -> Mapping[str, Matrix]:
    """Return every figure for each row of weights of the groups; shape (rows,); NaN where it is undefined."""
    positive, negative = weights * cells.truth, weights * ~cells.truth
    with np.errstate(divide="ignore", invalid="ignore"):
        hit, false_alarm = positive @ cells.flagged, negative @ cells.flagged
        all_positive, all_negative = positive.sum(axis=1), negative.sum(axis=1)
        precision, recall = hit / (hit + false_alarm), hit / all_positive
        average_precision, roc_auc = _over_all_thresholds(cells, positive, negative)
        return {
            "precision": precision,
            "recall": recall,
            # Of no hit at all it is 0, although the precision of nothing is undefined.
            "f1": np.where(all_positive > 0, 2 * hit / (hit + false_alarm + all_positive), np.nan),
            "false_positive_rate": false_alarm / all_negative,
            "average_precision": average_precision,
            "roc_auc": roc_auc,
            "calibration_error": calibration_error(cells, weights),
        }


def _over_all_thresholds(cells: Cells, positive: Matrix, negative: Matrix) -> tuple[Matrix, Matrix]:
    """Return average precision and the area under the ROC curve; images of one score share a threshold."""
    hits, false_alarms = (np.cumsum(part, axis=1)[:, cells.ends] for part in (positive, negative))
    recall, fallout = hits / hits[:, -1:], false_alarms / false_alarms[:, -1:]
    flagged = hits + false_alarms
    # A resample may lack the highest scores; nothing is flagged there, and no recall is gained either.
    precision = np.divide(hits, flagged, out=np.zeros_like(hits), where=flagged > 0)
    average_precision = (np.diff(recall, axis=1, prepend=0.0) * precision).sum(axis=1)
    before = np.concatenate([np.zeros((len(recall), 1)), recall[:, :-1]], axis=1)
    roc_auc = (np.diff(fallout, axis=1, prepend=0.0) * (recall + before) / 2).sum(axis=1)
    return average_precision, roc_auc


def calibration_error(cells: Cells, weights: Matrix) -> Matrix:
    """Return the expected calibration error: by bins of the score, how far the mean score is from the share of
    positives, weighted by the bin's images; shape (rows,)."""
    place = bins_of(np.repeat(cells.score, cells.count), cells.score)
    in_bin = np.zeros((len(place), BINS))
    in_bin[np.arange(len(place)), place] = 1.0
    expected, found = (weights * cells.score) @ in_bin, (weights * cells.truth) @ in_bin
    return np.asarray(np.abs(expected - found).sum(axis=1) / weights.sum(axis=1))


def _sizes(outcomes: Outcomes) -> Mapping[str, float]:
    """Return how many images of equal weight each figure rests on."""
    of = {
        "positives": effective_size(outcomes, outcomes.truth),
        "negatives": effective_size(outcomes, ~outcomes.truth),
        "flagged": effective_size(outcomes, outcomes.flagged),
    }
    shares = {name: of[part] for name, part in SHARES.items()}
    scarcer = min(of["positives"], of["negatives"])
    return {"f1": of["positives"], "average_precision": of["positives"], "roc_auc": scarcer} | shares


def effective_size(outcomes: Outcomes, part: Flags) -> float:
    """Return Kish's effective size of a part: that of a sample with equal weights and as wide an interval."""
    weight = outcomes.weight[part]
    return float(weight.sum() ** 2 / (weight**2).sum()) if len(weight) else 0.0


def _reason(outcomes: Outcomes, name: str) -> str:
    """Return why a figure is undefined, where it is."""
    if not outcomes.truth.any():
        return UNDEFINED["positives"]
    return UNDEFINED["flagged"] if name == "precision" else UNDEFINED["negatives"]
