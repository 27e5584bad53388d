"""What is asked of a deployment: how many images, of what size, how unevenly, and how soon."""

import functools
import math
from dataclasses import dataclass

from service.tools.planning.cost import SECONDS_A_DAY

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


@dataclass(frozen=True, slots=True)
class Demand:
    """Of all processes together."""

    images_per_day: float
    """On average."""
    peak_factor: float = 2.5
    """Rate of the busiest moment of the day against the average."""
    image_kb: float = 600.0
    """Of an encoded photograph in the object store; a JPEG of 2 megapixels has about so much."""
    megapixels: float = 2.0
    event_kb: float = 1.0
    """Of an upload event in Kafka; more where images travel inside."""
    target_s: float = 30.0
    """From upload to verdict."""
    growth: float = 2.0
    """How many times as many images partitions are to last for: they cannot be reduced, and adding some moves keys."""
    may_fail: int = 1
    """Processes that may be missing at the peak while the others keep up."""

    @property
    def curve(self) -> DailyCurve:
        """How the images come over a day."""
        return DailyCurve(self.images_per_day / SECONDS_A_DAY, self.peak_factor)
