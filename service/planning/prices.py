"""What public moderation services charge, and currencies: figures that age, so each is shown where it is used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class PublicService:
    """A service that is paid by the image."""

    name: str
    usd_per_1000: float
    remark: str = ""


# List prices without volume discounts.
SERVICES: Sequence[PublicService] = (
    PublicService("OpenAI omni-moderation", 0.0, "rate-limited; looks at 6 of its 13 categories in images"),
    PublicService("AWS Rekognition", 1.0),
    PublicService("Google", 1.5),
    PublicService("Hive", 3.0),
    PublicService("Sightengine", 20.0, "8 categories"),
)

USD_RATES: Mapping[str, float] = MappingProxyType({"USD": 1.0, "CNY": 7.1})
"""Units of a currency for a US dollar: round figures, to be replaced by `--usd-rate`."""

# Of a rented core for an hour, in US dollars, for the embedded CPU engine.
CPU_CORE_HOUR_USD = 0.05
# Of a gigabyte of network disk for a month, in US dollars.
DISK_GB_MONTH_USD = 0.08
EMBEDDED_IMAGES_A_CORE = 27.2
"""The embedded engine's images a second on one core (docs/benchmarks.md)."""
