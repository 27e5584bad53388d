"""What 1,000 images cost: an own GPU, an own CPU, and services that are paid by the image; in closed form."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.tools.planning.prices import CPU_CORE_HOUR_USD, EMBEDDED_IMAGES_A_CORE, SERVICES, USD_RATES, PublicService

HOURS_A_DAY, DAYS_A_MONTH = 24, 30
SECONDS_AN_HOUR = 3600
SECONDS_A_DAY = HOURS_A_DAY * SECONDS_AN_HOUR
# The shortest time that a machine can be had for: starting it and loading the model takes minutes of it.
LEAST_HOURS = 1.0


@dataclass(frozen=True, slots=True)
class CostQuestion:
    """The demand and the prices to compare, in one currency."""

    images_per_day: float
    gpu_hour: float
    usd_rate: float
    """Units of the currency for a US dollar."""
    images_per_s: float
    """That one card judges while it is kept busy."""
    utilisation: float
    """Share of the paid time that the card judges, where it is only rented to work."""
    currency: str | None = None
    """Prices in it are taken as they are; all are converted if it is not known."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One way to have the images judged."""

    name: str
    per_day: float
    per_1000: float
    remark: str = ""

    @property
    def per_month(self) -> float:
        """The cost of 30 days."""
        return self.per_day * DAYS_A_MONTH


@dataclass(frozen=True, slots=True)
class BreakEven:
    """The number of images a day from which an always-on GPU is cheaper than a service."""

    name: str
    images_per_day: float
    """Infinite for a service that costs less than a card that never rests; 0 for one whose least charge is more."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The cost of every way, and the break-even points."""

    question: CostQuestion
    gpus: int
    """Always on, so that the day's images are judged within the day."""
    busy_s_per_day: float
    """That the cards judge."""
    own: Sequence[Cost]
    public: Sequence[Cost]
    break_even: Sequence[BreakEven]

    @property
    def cheaper_services(self) -> Sequence[Cost]:
        """Paid services that cost less than cards that are always on; one that is free is limited in other ways."""
        return [each for each in self.public if 0 < each.per_day < self.own[0].per_day]

    @property
    def busy_share(self) -> float:
        """The share of the paid time in which always-on GPUs judge."""
        return self.busy_s_per_day / (self.gpus * SECONDS_A_DAY)


def compare(question: CostQuestion) -> Comparison:
    """Return the cost of every way to have the images judged."""
    busy_s = question.images_per_day / question.images_per_s
    gpus = math.ceil(busy_s / SECONDS_A_DAY)
    always_on = gpus * HOURS_A_DAY * question.gpu_hour
    return Comparison(
        question=question,
        gpus=gpus,
        busy_s_per_day=busy_s,
        own=(
            _cost("own GPU, always on", always_on, question, f"{gpus} × 24 h"),
            _by_the_hour(question, busy_s, gpus * HOURS_A_DAY),
            _embedded(question),
        ),
        public=[_public(service, question) for service in SERVICES],
        break_even=[_break_even(service, always_on / gpus, question) for service in SERVICES],
    )


def _by_the_hour(question: CostQuestion, busy_s: float, most_hours: float) -> Cost:
    hours = min(most_hours, max(LEAST_HOURS, busy_s / SECONDS_AN_HOUR / question.utilisation))
    return _cost("own GPU, only while it works", hours * question.gpu_hour, question, f"{hours:.1f} h a day")


def _embedded(question: CostQuestion) -> Cost:
    cores = max(1, math.ceil(question.images_per_day / EMBEDDED_IMAGES_A_CORE / SECONDS_A_DAY))
    per_day = cores * HOURS_A_DAY * CPU_CORE_HOUR_USD * question.usd_rate
    return _cost("own CPU, embedded engine", per_day, question, f"{cores} × core, 24 h; covers fewer categories")


def _public(service: PublicService, question: CostQuestion) -> Cost:
    price, least = _prices(service, question)
    return _cost(service.name, max(least, price * question.images_per_day / 1000), question, service.remark)


def _prices(service: PublicService, question: CostQuestion) -> tuple[float, float]:
    """Return what 1,000 images cost and what a day costs at least, in the question's currency."""
    is_own = service.currency == question.currency
    factor = 1.0 if is_own else question.usd_rate / USD_RATES[service.currency]
    return service.per_1000 * factor, service.least_per_month * factor / DAYS_A_MONTH


def _cost(name: str, per_day: float, question: CostQuestion, remark: str) -> Cost:
    return Cost(name, per_day, per_day / question.images_per_day * 1000, remark)


def _break_even(service: PublicService, card_day: float, question: CostQuestion) -> BreakEven:
    price, least = _prices(service, question)
    if least >= card_day:
        return BreakEven(service.name, 0.0)
    images = card_day / price * 1000 if price else math.inf
    most = question.images_per_s * SECONDS_A_DAY
    return BreakEven(service.name, images if images <= most else math.inf)
