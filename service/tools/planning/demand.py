"""What is asked of a deployment: how many images, of what size, how unevenly, and how soon."""

from dataclasses import dataclass

from service.tools.planning.cost import SECONDS_A_DAY
from service.tools.planning.daily_curve import DailyCurve


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
