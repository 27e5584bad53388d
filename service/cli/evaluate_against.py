"""Engines on the same labelled images in one table: accuracy, time and cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from service.cli.evaluate_price import MonthlyCost, Price, monthly_cost
from service.cli.evaluate_tables import figure_text
from service.telemetry.plain_text import one_line
from service.tools.evaluation.quality.evaluation import Evaluation

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Priced:
    """An evaluation and its cost."""

    evaluation: Evaluation
    cost: MonthlyCost | None
    """None without a price, or where nothing was judged."""


def priced(evaluation: Evaluation, price: Price | None, images_per_day: float) -> Priced:
    """Return an evaluation with its cost a month."""
    seconds = evaluation.seconds_an_image
    if price is None or seconds is None:
        return Priced(evaluation, None)
    return Priced(evaluation, monthly_cost(price, images_per_day, seconds))


def against_rows(engines: Sequence[Priced], images_per_day: float) -> Sequence[Sequence[str]]:
    """Return a table with a column for each engine, its heading first: accuracy, seconds an image, cost a month."""
    columns = [_figures(each) for each in engines]
    names = dict.fromkeys(name for column in columns for name in column)
    return [
        ["", *(each.evaluation.engine for each in engines)],
        *([name, *(column.get(name, "none") for column in columns)] for name in names),
        ["seconds an image", *(_seconds(each.evaluation) for each in engines)],
        [f"cost a month, {images_per_day:,.0f} images a day", *(_cost(each.cost) for each in engines)],
    ]


def against_table(rows: Sequence[Sequence[str]]) -> Table:
    """Return the same for a terminal."""
    heading, *others = [[escape(one_line(cell)) for cell in row] for row in rows]
    table = Table(title="Accuracy, time and cost", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for each in heading:
        table.add_column(each, overflow="fold")
    for row in others:
        table.add_row(*row)
    return table


def _figures(each: Priced) -> Mapping[str, str]:
    evaluation = each.evaluation
    images = {
        "images judged": f"{evaluation.moderated} of {evaluation.images}",
        "category accuracy": figure_text(evaluation.all_images["exact_match"]),
        "recall, any category": figure_text(evaluation.all_images["recall"]),
        "false-positive rate, any category": figure_text(evaluation.all_images["false_positive_rate"]),
    }
    tags = {f"{name} accuracy (tags)": figure_text(found.figures["exact"]) for name, found in evaluation.tags.items()}
    return images | tags


def _seconds(evaluation: Evaluation) -> str:
    return UNKNOWN if evaluation.seconds_an_image is None else f"{evaluation.seconds_an_image:.4f}"


def _cost(cost: MonthlyCost | None) -> str:
    return f"{UNKNOWN}: give its price" if cost is None else f"{cost.per_month:,.2f} ({cost.how})"
