"""What an evaluated engine costs a month, by the price of its machine or of its images."""

import os
import re
from dataclasses import dataclass
from typing import Literal

import typer

from service.tools.planning.cost import DAYS_A_MONTH, CostQuestion, compare
from service.tools.planning.prices import CPU_CORE_HOUR_USD

_FORM = re.compile(r"([0-9]+(?:\.[0-9]+)?)/(hour|1000)")


@dataclass(frozen=True, slots=True)
class Price:
    """What is paid for an engine, in any currency."""

    amount: float
    unit: Literal["hour", "1000"]
    """Of a machine that is always on, or of 1,000 images."""


def parse_price(text: str) -> Price:
    """Return a price; raises `typer.BadParameter` for what is none."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter("a price is written 0.40/hour (of a machine) or 1.50/1000 (images)")
    return Price(float(found[1]), "hour" if found[2] == "hour" else "1000")


def default_price(engine: str) -> Price | None:
    """Return the price of this machine for the embedded engine, at a rounded price of a core; None for others."""
    return Price(CPU_CORE_HOUR_USD * (os.cpu_count() or 1), "hour") if engine == "onnx" else None


@dataclass(frozen=True, slots=True)
class MonthlyCost:
    """The cost of 30 days."""

    per_month: float
    how: str
    """Such as `2 × 24 h`."""


def monthly_cost(price: Price, images_per_day: float, seconds_an_image: float) -> MonthlyCost:
    """Return the cost of judging so many images a day; an own machine judges as fast as was measured."""
    if price.unit == "1000":
        return MonthlyCost(price.amount * images_per_day * DAYS_A_MONTH / 1000, "by the image")
    question = CostQuestion(images_per_day, price.amount, 1.0, 1 / seconds_an_image, utilisation=1.0)
    always_on = compare(question).own[0]
    return MonthlyCost(always_on.per_month, always_on.remark)
