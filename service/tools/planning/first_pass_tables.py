"""What a cheaper first pass is worth, in a terminal."""

from collections.abc import Iterator
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from service.tools.planning.choice_tables import SHOWN
from service.tools.planning.cost import SECONDS_AN_HOUR
from service.tools.planning.cost_tables import money
from service.tools.planning.cpu_sizing import fed_by, feed
from service.tools.planning.first_pass import FirstPass, FirstPassPlan, plan_first_pass
from service.tools.planning.gpus import find_gpu
from service.tools.planning.models import DEFAULT_MODEL, find_model, short_name
from service.tools.planning.overview import rate
from service.tools.planning.plan import GpuPlan, plan_gpu
from service.tools.planning.plan_tables import bullets, plain_table, sources_table
from service.tools.planning.sources import Source
from service.tools.planning.workload import Workload

_SHOWN_CLEARED = (0.2, 0.5, 0.8, 0.9)
_SHOWN_FIRST = (
    FirstPass(0.0, 64),
    FirstPass(0.0, 16),
    FirstPass(0.0, 64, find_model("2B")),
    FirstPass(0.0, None, find_model("2B")),
)
_HEADER = (
    "| Card | First pass | Vision tokens | "
    + " | ".join(f"{cleared:.0%} cleared" for cleared in _SHOWN_CLEARED)
    + " | A gain from |",
    "|---|---|---:|---:|---:|---:|---:|---:|",
)
_NO_GAIN = 1.0
_MUCH_LESS = 0.9
"""Of the cards' gain: what CPU cores or the interpreter leave is remarked on below it."""


def print_first_pass(
    console: Console, plan: GpuPlan, passes: FirstPassPlan, gpu_hour: float, cores: int | None
) -> None:
    """Print the rates with and without the first pass, from which share it is worth it, and what limits the gain."""
    console.print(f"\n[bold]With a first pass[/]: {first_pass_in_words(passes)}; calculated")
    console.print(_table(passes, gpu_hour))
    console.print(bullets(_remarks(plan, passes, cores)))
    console.print(sources_table(first_pass_sources()))


def first_pass_markdown(work: Workload) -> str:
    """Return what first passes are worth before the default model on some cards, as a Markdown table."""
    rows = (row for name in SHOWN for row in _markdown_rows(name, work))
    return "".join(f"{line}\n" for line in (*_HEADER, *rows))


def _markdown_rows(name: str, work: Workload) -> Iterator[str]:
    plan = plan_gpu(find_gpu(name), find_model(DEFAULT_MODEL), work)
    for first in _SHOWN_FIRST:
        found = [plan_first_pass(plan, replace(first, cleared=cleared)) for cleared in _SHOWN_CLEARED]
        passes = [each for each in found if each is not None]
        if not passes:
            continue
        engine = f"{short_name(passes[0].model)}, own cards" if passes[0].has_own_cards else "the same engine"
        worth_from = passes[0].worth_from
        cells = (
            name,
            engine,
            str(passes[0].vision_tokens),
            *(f"{rate(each.images_per_s)} ({each.factor:.1f} ×)" for each in passes),
            "never" if worth_from is None else f"{worth_from:.0%}",
        )
        yield f"| {' | '.join(cells)} |"


def first_pass_in_words(passes: FirstPassPlan) -> str:
    """Return what the first pass is."""
    engine = f"{short_name(passes.model)} on cards of its own" if passes.has_own_cards else "the same engine"
    return f"{engine}, {passes.vision_tokens} vision tokens, {passes.cleared:.0%} cleared"


def first_pass_assumption(passes: FirstPassPlan) -> str:
    """Return what a rate rests on that was calculated with a first pass."""
    cards = "; the rate is one card's among those of both passes" if passes.has_own_cards else ""
    return (
        f"A first pass ({first_pass_in_words(passes)}) makes {rate(passes.without_per_s)} images/s "
        f"{rate(passes.images_per_s)}, calculated{cards}. What it clears wrongly is not in the price."
    )


def first_pass_sources() -> Iterator[Source]:
    """Yield the source of every figure about a first pass."""
    yield Source("images/s with a first pass", "calculated", "first pass + (1 - cleared) × full pass, as one pass is")
    yield Source("share cleared", "given", "--cleared; 'modstream thresholds' measures it on your images")
    yield Source("recall that is lost", "given", "by the thresholds that you choose: not in this calculation")


def _table(passes: FirstPassPlan, gpu_hour: float) -> Table:
    table = plain_table()
    table.add_column("")
    each = "images/s a card, of both passes" if passes.has_own_cards else "images/s"
    for name in (each, f"per 1,000, at {gpu_hour:.2f} an hour", "as fast"):
        table.add_column(name, justify="right")
    for name, images_per_s in (
        ("the full pass alone", passes.without_per_s),
        ("with the first pass", passes.images_per_s),
        ("at most, if every image were cleared", passes.at_most_per_s),
    ):
        price = gpu_hour / SECONDS_AN_HOUR / images_per_s * 1000
        table.add_row(name, rate(images_per_s), money(price), f"{images_per_s / passes.without_per_s:.2f} ×")
    return table


def _remarks(plan: GpuPlan, passes: FirstPassPlan, cores: int | None) -> Iterator[str]:
    if passes.worth_from is None:
        yield "It is no gain for any share of cleared images: the first pass costs as much as it can save."
    elif passes.factor <= _NO_GAIN:
        yield f"No gain: it pays from {passes.worth_from:.0%} cleared images, and here are {passes.cleared:.0%}."
    else:
        yield f"It is a gain from {passes.worth_from:.0%} cleared images."
    if passes.has_own_cards:
        yield f"For each card of the full pass {passes.first_cards:.2f} cards of the first pass, of the same kind."
    if plan.work.tags_share:
        yield f"{plan.work.tags_share:.0%} of the images get tags, and therefore no first pass."
    yield from _cpu_remarks(passes, cores)


def _cpu_remarks(passes: FirstPassPlan, cores: int | None) -> Iterator[str]:
    """Yield what decoding and the process leave of the gain: an image is decoded in full for either pass."""
    feeding = feed(passes.main_per_s, passes.passes)
    needed = ", ".join(f"{count} CPU cores for {size} photographs" for size, count in feeding.cores.items())
    yield f"A card of the full pass then takes in {rate(passes.main_per_s)} images/s: {needed}."
    if feeding.processes > 1:
        yield (
            f"One process passes on {feeding.wall_images_per_s:.0f} images/s at most, which is less: its interpreter "
            "limits the gain, not the card."
        )
    if cores is None:
        return
    for size in feeding.cores:
        before = min(fed_by(cores, size), passes.without_per_s)
        after = min(fed_by(cores, size, passes.passes), feeding.wall_images_per_s, passes.main_per_s)
        limited = ": CPU cores limit the gain" if after < _MUCH_LESS * passes.main_per_s else ""
        yield f"{cores} cores and this card: {rate(after)} instead of {rate(before)} images/s of {size}{limited}."
