"""Pure: what taking the labels' prior out of scores changes, in calibration error and in recall."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.policy.policy import Policy
from service.tools.evaluation.datasets.dataset import Dataset
from service.tools.evaluation.quality.bootstrap import Figure
from service.tools.evaluation.quality.metrics import category_metrics
from service.tools.evaluation.quality.outcomes import JudgedExample, outcomes_of


@dataclass(frozen=True, slots=True)
class PriorFigures:
    """The figures of one category under one setting of `engine.judging.label_prior`."""

    calibration_error: Figure
    recall: Figure
    """At the policy's thresholds."""


@dataclass(frozen=True, slots=True)
class LabelPriorEffect:
    """One category with equal priors and with measured ones."""

    policy: str
    category: str
    images: int
    uniform: PriorFigures
    measured: PriorFigures

    @property
    def sentence(self) -> str:
        """The effect in words."""
        before, after = self.uniform, self.measured
        return (
            f"label prior, {self.policy}, {self.category}: calibration error"
            f" {_shown(before.calibration_error)} uniform, {_shown(after.calibration_error)} measured; recall"
            f" {_shown(before.recall)} and {_shown(after.recall)}, of {self.images:,} images"
        )


def label_prior_effects(
    dataset: Dataset, policy: Policy, *, uniform: Sequence[JudgedExample], measured: Sequence[JudgedExample]
) -> Iterator[LabelPriorEffect]:
    """Yield the effect on each labelled category of a policy, in the policy's order."""
    for category in policy.names:
        if category not in dataset.labelled:
            continue
        both = [outcomes_of(dataset, judged, category) for judged in (uniform, measured)]
        if not all(len(each) for each in both):
            continue
        figures = [category_metrics(each).figures for each in both]
        before, after = (PriorFigures(each["calibration_error"], each["recall"]) for each in figures)
        yield LabelPriorEffect(policy.name, category, len(both[0]), before, after)


def _shown(figure: Figure) -> str:
    return "undefined" if figure.value is None else f"{figure.value:.3f}"
