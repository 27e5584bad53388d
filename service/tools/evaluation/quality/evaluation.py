"""Pure: all figures of an evaluation."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from service.policy.policy import Policy
from service.tools.evaluation.datasets.dataset import Dataset, Example
from service.tools.evaluation.quality.bootstrap import DEFAULT_RESAMPLES, DEFAULT_SEED, Figure
from service.tools.evaluation.quality.calibration_error import Reliability, reliability
from service.tools.evaluation.quality.confusion import Confusion, confusion
from service.tools.evaluation.quality.curves import CurvePoint, curve
from service.tools.evaluation.quality.metrics import AT_THRESHOLDS, CategoryMetrics, category_metrics
from service.tools.evaluation.quality.outcomes import JudgedExample, Outcomes, judged_examples, outcomes_of
from service.tools.evaluation.quality.predictions import Prediction, seconds_an_image
from service.tools.evaluation.quality.slices import Slices, slices
from service.tools.evaluation.quality.tag_scores import TagMetrics, tag_metrics

_SLICE_RESAMPLES = 400
"""There may be a thousand slices; ends of intervals vary by a twentieth of the width then."""


@dataclass(frozen=True, slots=True)
class CategoryReport:
    """Everything about one category."""

    metrics: CategoryMetrics
    thresholds: Mapping[str, float]
    """By outcome, of the default policy; empty where it has none."""
    curve: Sequence[CurvePoint]
    reliability: Reliability | None
    """None where no image was judged for it."""
    slices: Mapping[str, Mapping[str, CategoryMetrics]]
    """By column and value."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of one engine and policy on one dataset."""

    dataset: str
    engine: str
    """Kind and model."""
    policy: str
    images: int
    """Examples of the dataset, without repeats."""
    moderated: int
    """Those that a model judged."""
    repeated: int
    failures: Mapping[str, int]
    """Images without a verdict, by reason code."""
    categories: Mapping[str, CategoryReport]
    all_images: Mapping[str, Figure]
    """`judged_share`: images that a model judged. `exact_match`: images whose flagged categories are exactly those that
    they show. `recall` and `false_positive_rate`: of any category at all."""
    tags: Mapping[str, TagMetrics]
    confusion: Confusion
    too_many_values: Sequence[str]
    """Columns that are no slices."""
    seconds_an_image: float | None


@dataclass(frozen=True, slots=True)
class Question:
    """What an evaluation is about."""

    dataset: Dataset
    engine: str
    policy: Policy
    """The default policy, whose thresholds are shown."""
    policy_of: Callable[[Example], Policy]
    repeated: int = 0
    resamples: int = DEFAULT_RESAMPLES
    seed: int = DEFAULT_SEED


def evaluate(question: Question, predictions: Sequence[Prediction]) -> Evaluation:
    """Return all figures of predictions."""
    judged = judged_examples(predictions, question.policy_of)
    labelled = question.dataset.labelled
    order = [name for name in question.policy.names if name in labelled]
    order += sorted(labelled - {*order})
    parts, too_many = slices(judged)
    failed = Counter(each.failure or "not_moderated" for each in predictions if not _moderated(each))
    return Evaluation(
        dataset=question.dataset.source,
        engine=question.engine,
        policy=f"{question.policy.name} {question.policy.version}",
        images=len(predictions),
        moderated=len(judged),
        repeated=question.repeated,
        failures=dict(sorted(failed.items())),
        categories={name: _category(question, judged, name, parts) for name in order},
        all_images={"judged_share": _judged_share(predictions, judged), **_all_images(question, judged)},
        tags=tag_metrics(predictions, resamples=question.resamples, seed=question.seed),
        confusion=confusion(judged, [*question.policy.names, *sorted(labelled - {*question.policy.names})]),
        too_many_values=too_many,
        seconds_an_image=seconds_an_image(predictions),
    )


def _moderated(prediction: Prediction) -> bool:
    return prediction.verdict is not None and prediction.verdict.status == "moderated"


def _category(
    question: Question,
    judged: Sequence[JudgedExample],
    name: str,
    parts: Slices,
) -> CategoryReport:
    def metrics(examples: Sequence[JudgedExample], most: int = question.resamples) -> CategoryMetrics:
        return _metrics(replace(question, resamples=min(most, question.resamples)), examples, name)

    outcomes = outcomes_of(question.dataset, judged, name)
    rule = question.policy.categories.get(name)
    return CategoryReport(
        metrics=metrics(judged),
        thresholds=dict(rule.thresholds()) if rule else {},
        curve=curve(outcomes),
        reliability=_reliability(outcomes),
        slices={
            column: {value: metrics(part, _SLICE_RESAMPLES) for value, part in values.items()}
            for column, values in parts.items()
        },
    )


def _reliability(outcomes: Outcomes) -> Reliability | None:
    if not len(outcomes):
        return None
    return reliability(outcomes.score, outcomes.truth, weights=outcomes.weight)


def _metrics(question: Question, judged: Sequence[JudgedExample], name: str) -> CategoryMetrics:
    if judged and not any(name in each.scores for each in judged):
        return _without(category_metrics(_nothing()), "the engine does not cover it")
    found = category_metrics(
        outcomes_of(question.dataset, judged, name), resamples=question.resamples, seed=question.seed
    )
    if judged and not any(name in each.ruled for each in judged):
        return _without(found, "the policy has no threshold for it", AT_THRESHOLDS)
    return found


def _without(metrics: CategoryMetrics, why: str, names: frozenset[str] | None = None) -> CategoryMetrics:
    missing = Figure(undefined=why)
    kept = {name: missing if names is None or name in names else each for name, each in metrics.figures.items()}
    return replace(metrics, figures=kept)


def _nothing() -> Outcomes:
    flags, floats = np.zeros(0, np.bool_), np.zeros(0)
    return Outcomes(flags, floats, flags, floats)


def _judged_share(predictions: Sequence[Prediction], judged: Sequence[JudgedExample]) -> Figure:
    if not predictions:
        return Figure(undefined="the dataset has no images")
    share = len(judged) / len(predictions)
    return Figure(share, share, share)  # it is counted, not estimated


def _all_images(question: Question, judged: Sequence[JudgedExample]) -> Mapping[str, Figure]:
    """Return the figures of images as wholes, of those whose labels are about all labelled categories."""
    labelled = question.dataset.labelled
    whole = [each for each in judged if all(question.dataset.is_about(each.example, name) for name in labelled)]

    def of(truth: list[bool], flagged: list[bool]) -> Mapping[str, Figure]:
        flags = np.array(flagged, np.bool_)
        weight = np.array([each.example.weight for each in whole], dtype=np.float64)
        outcomes = Outcomes(np.array(truth, np.bool_), flags.astype(np.float64), flags, weight)
        return category_metrics(outcomes, resamples=question.resamples, seed=question.seed).figures

    right = of([True] * len(whole), [each.flagged & labelled == each.example.categories for each in whole])
    harm = of([bool(each.example.categories) for each in whole], [bool(each.flagged & labelled) for each in whole])
    return {
        "exact_match": right["recall"],
        "recall": harm["recall"],
        "false_positive_rate": harm["false_positive_rate"],
    }
