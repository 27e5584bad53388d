"""What public moderation services charge, and currencies: figures that age, so each is shown where it is used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class PublicService:
    """A service that is paid by the image; money in its own currency."""

    name: str
    per_1000: float
    remark: str = ""
    currency: str = "USD"
    least_per_month: float = 0.0
    """Charged even if fewer images are judged."""
    source: str = ""
    """The price list, where it is not the provider's page in US dollars."""

    @property
    def usd_per_1000(self) -> float:
        """In US dollars, at the round figures of `USD_RATES`."""
        return self.per_1000 / USD_RATES[self.currency]


# List prices without volume discounts. Those in CNY are for data centres in China, from undated pages as they were read
# in November 2026; no price of an image was found on a page of Tencent's image moderation.
# Alibaba: from 15 CNY for 10,000 images and check. Baidu: each image 0.25 points, 0.8 more for politics, 0.3 for
# pornography, 0.4 for violence; 98 CNY for 100,000 points, its smallest package. Easemob: 15 CNY for 10,000 images for
# politics, 15 for pornography, 22.5 for text in images.
SERVICES: Sequence[PublicService] = (
    PublicService("OpenAI omni-moderation", 0.0, "rate-limited; looks at 6 of its 13 categories in images"),
    PublicService(
        "Alibaba Cloud (China)",
        1.5,
        "the lowest price of one check; several checks of an image are several prices",
        currency="CNY",
        source="https://help.aliyun.com/document_detail/2573826.html",
    ),
    PublicService(
        "Baidu (China)",
        (0.25 + 0.8 + 0.3 + 0.4) * 0.98,
        "politics, pornography, violence",
        currency="CNY",
        source="https://cloud.baidu.com/doc/ANTIPORN/s/Xkp5jt5oc",
    ),
    PublicService(
        "Easemob (China)",
        1.5 + 1.5 + 2.25,
        "politics, pornography, text in images; at least 288 CNY a month",
        currency="CNY",
        least_per_month=288,
        source="https://docs-im.easemob.com/ccim/moderation/price_domestic",
    ),
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
