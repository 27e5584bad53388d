"""How uploads come over a day: fewest in the early morning, most in the evening."""

import functools
import math
from dataclasses import dataclass

PEAK_HOUR = 20.0
HOURS_A_DAY = 24
# A quarter of an hour each: finer changes nothing in the third digit.
_SAMPLES = 96
# The logarithm of the rate is a cosine of this height at most: one that is steeper has all uploads within an hour.
_STEEPEST = 60.0


@dataclass(frozen=True, slots=True)
class DailyCurve:
    """A rate whose logarithm is a sine, so that it never falls to nothing, whatever the peak."""

    average_per_s: float
    peak_factor: float
    """The highest rate, against the average of the day."""

    @property
    def peak_per_s(self) -> float:
        """Of the busiest moment."""
        return self.average_per_s * self.peak_factor

    def per_s(self, hour: float) -> float:
        """Return the rate at an hour of the day."""
        steepness = _steepness(self.peak_factor)
        return self.peak_per_s * math.exp(steepness * (_cosine(hour) - 1))


def _cosine(hour: float) -> float:
    return math.cos(2 * math.pi * (hour - PEAK_HOUR) / HOURS_A_DAY)


@functools.cache
def _steepness(peak_factor: float) -> float:
    """Return the height of the sine for that peak, by bisection: the higher, the larger the peak's factor."""
    low, high = 0.0, _STEEPEST
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _factor(middle) < peak_factor else (low, middle)
    return low


def _factor(steepness: float) -> float:
    hours = (HOURS_A_DAY * number / _SAMPLES for number in range(_SAMPLES))
    return _SAMPLES / sum(math.exp(steepness * (_cosine(hour) - 1)) for hour in hours)
