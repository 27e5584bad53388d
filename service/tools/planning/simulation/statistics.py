"""Percentiles of numbers that count more than once."""

from collections.abc import Iterable, Sequence

import numpy as np

PERCENTILES = (0.5, 0.99)


def percentiles(weighted: Iterable[tuple[float, float]], shares: Sequence[float] = PERCENTILES) -> tuple[float, ...]:
    """Return the least values that so large shares of the weight do not exceed; zeros if there is no weight."""
    pairs = np.array([(value, weight) for value, weight in weighted if weight > 0], dtype=float)
    if not len(pairs):
        return tuple(0.0 for _ in shares)
    ordered = pairs[np.argsort(pairs[:, 0], kind="stable")]
    reached = np.cumsum(ordered[:, 1])
    places = np.searchsorted(reached, np.array(shares) * reached[-1] * (1 - 1e-12))
    return tuple(float(value) for value in ordered[np.minimum(places, len(ordered) - 1), 0])


def spread(values: Sequence[float], count: int) -> Sequence[float]:
    """Return so many values that stand for all of them, equally heavy."""
    shares = (np.arange(count) + 0.5) / count
    return [float(value) for value in np.quantile(np.asarray(values, dtype=float), shares)]
