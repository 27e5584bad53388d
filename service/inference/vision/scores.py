"""Pure: log-probabilities of labels → how much of the answer they are, and each one's share.

A model may favour a label whatever it stands for: "A", or what comes first in a list. PriDe (arXiv 2309.03882) calls
this the label's prior and takes a label's probability to be proportional to its prior times the probability of its
content. If each content stood behind each label once, the mean log-probability of a label holds every content equally,
and labels differ by their priors alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

LogPrior = Mapping[str, float]
"""Label → natural logarithm of its prior relative to the median label's. Empty for equal priors."""


@dataclass(frozen=True, slots=True)
class LabelReading:
    """The shares of labels in one generated token, and their mass."""

    shares: Mapping[str, float]
    """Share of each label in [0, 1]. The shares add up to 1: the softmax over the labels."""
    mass: float
    """All labels' probability together, in [0, 1]: low means that the model did not answer in the form asked for."""


def read_labels(log_probabilities: Mapping[str, float]) -> LabelReading:
    """Return the reading of labels' natural log-probabilities over the whole vocabulary; -inf for those not seen.

    Labels that no probability fell on at all have equal shares, and no mass.
    """
    highest = max(log_probabilities.values())
    if not math.isfinite(highest):
        even = 1.0 / len(log_probabilities)
        return LabelReading(dict.fromkeys(log_probabilities, even), mass=0.0)
    weights = {label: math.exp(value - highest) for label, value in log_probabilities.items()}
    total = math.fsum(weights.values())
    mass = min(1.0, total * math.exp(highest))
    return LabelReading({label: weight / total for label, weight in weights.items()}, mass)


def measured_prior(answers: Sequence[Mapping[str, float]]) -> LogPrior:
    """Return the prior of labels from answers in which every content stood behind every label equally often.

    Each answer holds every label's natural log-probability, all of them finite.
    """
    means = {label: fmean(answer[label] for answer in answers) for label in answers[0]}
    middle = median(means.values())
    return {label: mean - middle for label, mean in means.items()}


def without_prior(reading: LabelReading, log_prior: LogPrior) -> LabelReading:
    """Return a reading whose shares are divided by the prior of their labels and add up to 1; the mass stays."""
    if not log_prior or not reading.mass:
        return reading
    weights = {label: share * math.exp(-log_prior[label]) for label, share in reading.shares.items()}
    total = math.fsum(weights.values())
    return replace(reading, shares={label: weight / total for label, weight in weights.items()})
