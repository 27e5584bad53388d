"""A comparison of costs in a terminal."""

import math
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from service.tools.planning.advice import work_in_words
from service.tools.planning.cost import DAYS_A_MONTH, LEAST_HOURS, BreakEven, Comparison, Cost
from service.tools.planning.overview import rate
from service.tools.planning.plan import GpuPlan
from service.tools.planning.plan_tables import bullets, plain_table, sources_table
from service.tools.planning.prices import CPU_CORE_HOUR_USD, EMBEDDED_IMAGES_A_CORE, SERVICES, USD_RATES
from service.tools.planning.sources import Source

# An always-on card that judges for less than this share of the time is mostly paid for waiting.
IDLE_SHARE = 0.25
# In place of a card's name where its rate was measured and no card was named.
UNNAMED_CARD = "card"
# Smaller shares are not distinguished.
LEAST_SHARE = 0.001
# Less is shown in seconds: tenths of an hour would say little.
HOURS_FROM_S = 1800


def print_comparison(
    console: Console,
    card: str,
    comparison: Comparison,
    currency: str,
    assumptions: Sequence[str],
    *,
    sources: Sequence[Source],
) -> None:
    """Print what each way costs, from how many images on an own card pays, and what that rests on.

    `card` is the card's name, or UNNAMED_CARD where only its measured rate is known.
    """
    question = comparison.question
    console.print(f"[bold]{question.images_per_day:,.0f} images a day[/], in {currency}")
    console.print(Padding(_costs(comparison), (1, 0), expand=False))
    for line in _honest(card, comparison):
        console.print(line)
    console.print("\n[bold]An always-on card costs less than[/]")
    console.print(bullets(_break_even_in_words(each) for each in comparison.break_even))
    console.print("\n[bold]Assumptions[/]")
    console.print(bullets(assumptions))
    console.print("\n[bold]Where the figures come from[/]")
    console.print(sources_table(sources))


def cost_assumptions(
    plan: GpuPlan, comparison: Comparison, currency: str, *, rate_given: bool, measured: float | None
) -> list[str]:
    """Return all that the figures rest on."""
    question = comparison.question
    return [
        _rate_in_words(plan, question.images_per_s, measured),
        f"A card is paid {question.gpu_hour:g} {currency} an hour, a month has {DAYS_A_MONTH} days. Peaks wait in "
        "Kafka.",
        f"Only while it works: {question.utilisation:.0%} of the paid time is spent judging, and at least "
        f"{LEAST_HOURS:g} h a day is paid.",
        f"List prices of the services in US dollars, {question.usd_rate:g} {currency} each"
        + ("." if rate_given or USD_RATES[currency] == 1 else ": a round figure, give --usd-rate.")
        + " Those from China are in CNY"
        + ("." if currency == "CNY" else f", {USD_RATES['CNY']:g} for a US dollar: a round figure.")
        + f" Sources, read in November 2026: {', '.join(each.source for each in SERVICES if each.source)}",
        f"The embedded engine judges {EMBEDDED_IMAGES_A_CORE:g} images/s a core (docs/benchmarks.md), at "
        f"${CPU_CORE_HOUR_USD:g} a core and hour. It does not look for violence, hate and others.",
        "Not compared: accuracy, categories, where the images go, and people's time.",
    ]


def _rate_in_words(plan: GpuPlan, images_per_s: float, measured: float | None) -> str:
    if measured is not None:
        return f"The card judges {rate(images_per_s)} images/s: as you gave it."
    precision = plan.take.precision.name if plan.take else ""
    return (
        f"{plan.gpu.name} judges {rate(images_per_s)} images/s with {plan.model.name} in {precision}: calculated for "
        f"{work_in_words(plan.work)}; modstream engine plan says how."
    )


def _costs(comparison: Comparison) -> Table:
    table = plain_table()
    table.add_column("")
    for name in ("per 1,000", "per day", "per month"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", overflow="fold", style="dim")
    for each in comparison.own:
        table.add_row(*_cost_row(each), style="bold")
    for each in comparison.public:
        table.add_row(*_cost_row(each))
    return table


def _cost_row(each: Cost) -> Iterator[str]:
    yield each.name
    if each.per_day == 0:
        yield from ("free", "", "")
    else:
        yield from (money(each.per_1000), money(each.per_day), money(each.per_month))
    yield each.remark


def money(amount: float) -> str:
    """Return an amount with the digits that matter: cents, or two digits of what is less."""
    digits = 2 if amount >= 1 else 1 - math.floor(math.log10(amount)) if amount > 0 else 2
    return f"{amount:,.{max(2, digits)}f}"


def _honest(card: str, comparison: Comparison) -> Iterator[str]:
    """Yield what the table means."""
    cards = "The card judges" if comparison.gpus == 1 else f"The {comparison.gpus} cards judge"
    share = f"{comparison.busy_share:.1%}" if comparison.busy_share >= LEAST_SHARE else f"less than {LEAST_SHARE:.1%}"
    yield f"{cards} for {_length(comparison.busy_s_per_day)} a day: {share} of what is paid always on."
    if comparison.busy_share < IDLE_SHARE:
        yield f"{_idle_in_words(card, comparison)}: {_LESS_IDLE}"


_LESS_IDLE = (
    "collect in Kafka and judge in batch hours; scale to zero between them; take a smaller card; or use the embedded "
    "CPU engine if its categories are enough."
)


def _idle_in_words(card: str, comparison: Comparison) -> str:
    """Return what an always-on card that mostly waits means, by what the table above shows."""
    if cheaper := comparison.cheaper_services:
        names = ", ".join(each.name for each in cheaper)
        return (
            f"[yellow]For so few images an always-on {card} is expensive[/]: {escape(names)} "
            f"{'costs' if len(cheaper) == 1 else 'cost'} less. Instead"
        )
    return (
        f"It waits for most of the time, and an always-on {card} still costs less than every paid service "
        "above. To pay for less waiting"
    )


def _length(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < HOURS_FROM_S else f"{seconds / 3600:.1f} h"


def _break_even_in_words(each: BreakEven) -> str:
    if each.images_per_day == 0:
        return f"{each.name}: with any number of images"
    if math.isinf(each.images_per_day):
        return f"{each.name}: never with this card"
    return f"{each.name}: from {each.images_per_day:,.0f} images a day"
