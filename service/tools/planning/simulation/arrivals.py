"""When images are uploaded: moments drawn from a rate that changes."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from service.tools.planning.demand import HOURS_A_DAY, DailyCurve

Rate = Callable[[float], float]
"""Images a second at a moment, in seconds."""


@dataclass(frozen=True, slots=True)
class Burst:
    """A rate that is so many times as high for a while."""

    rate: Rate
    factor: float
    from_s: float
    for_s: float

    def __call__(self, at_s: float) -> float:
        """Return the rate."""
        inside = self.from_s <= at_s < self.from_s + self.for_s
        return self.rate(at_s) * (self.factor if inside else 1.0)


@dataclass(frozen=True, slots=True)
class Day:
    """A daily curve in which a day has so many seconds."""

    curve: DailyCurve
    day_s: float = 86_400.0
    starts_at_hour: float = 0.0

    def __call__(self, at_s: float) -> float:
        """Return the rate."""
        return self.curve.per_s(self.starts_at_hour + at_s / self.day_s * HOURS_A_DAY)


def arrivals(rate: Rate, duration_s: float, *, most_per_s: float, seed: int) -> Iterator[float]:
    """Yield moments at random, as independent uploaders make them; `most_per_s` is never below the rate."""
    chance = random.Random(seed)  # noqa: S311 - draws a workload, guards nothing
    at_s = chance.expovariate(most_per_s)
    while at_s < duration_s:
        if chance.random() * most_per_s < rate(at_s):
            yield at_s
        at_s += chance.expovariate(most_per_s)
