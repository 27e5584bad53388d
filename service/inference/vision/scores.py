"""Pure: log-probabilities of labels → how much of the answer they are, and each one's share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass


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
