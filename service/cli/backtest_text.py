"""The result of a backtest as text for terminals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.telemetry.plain_text import one_line

if TYPE_CHECKING:
    from service.tools.evaluation.backtest.result import BacktestResult, GroupChange

_STYLES = {"allow": "green", "review": "yellow", "block": "red"}
_MOST_GROUPS = 12
_MOST_NEAR = 8
"""Of a terminal's page; the report and --json have more."""


def print_backtest(console: Console, result: "BacktestResult") -> None:
    """Print the sentence, the matrix, and a few lines of every other part that says something."""
    from service.tools.evaluation.backtest import words  # noqa: PLC0415 - the help need not load it

    console.print(Text(f"{words.sentence(result)}.", style="bold"))
    console.print(Text(words.lead(result)), style="dim")
    if not result.images:
        return
    if gone := words.gone_text(result):
        console.print(Text(one_line(gone), style="yellow"))
    console.print()
    console.print(_matrix(result))
    for title, groups in (("Category", result.categories), ("Tenant", result.tenants)):
        if any(each.stricter or each.milder for each in groups):
            console.print()
            console.print(_groups(title, groups))
    if result.near:
        console.print()
        console.print(_near(result))
    _print_unanswered(console, result)


def _matrix(result: "BacktestResult") -> Table:
    from service.tools.evaluation.backtest.result import DECISIONS  # noqa: PLC0415 - as above
    from service.tools.evaluation.backtest.words import number  # noqa: PLC0415 - as above

    table = _table("Before", *(f"now {name}" for name in DECISIONS))
    for before in DECISIONS:
        counts = [
            Text(number(result.count(before, after)), style="" if before == after else f"bold {_STYLES[after]}")
            for after in DECISIONS
        ]
        table.add_row(Text(before), *counts)
    return table


def _groups(title: str, groups: Sequence["GroupChange"]) -> Table:
    from service.tools.evaluation.backtest.words import group_name, number  # noqa: PLC0415 - as above

    table = _table(title, "stricter", "milder", "to review", "blocked")
    for each in groups[:_MOST_GROUPS]:
        table.add_row(
            Text(one_line(group_name(each))),
            number(each.stricter),
            number(each.milder),
            f"{number(each.review_before)} → {number(each.review_after)}",
            f"{number(each.block_before)} → {number(each.block_after)}",
        )
    return table


def _near(result: "BacktestResult") -> Table:
    from service.tools.evaluation.report.score_text import score_text  # noqa: PLC0415 - as above

    table = _table("Nearest to a threshold", "score", "threshold", "now", "tenant", "image")
    for each in result.near[:_MOST_NEAR]:
        score = score_text(each.score, (each.threshold,))
        names = (Text(one_line(name)) for name in (each.image.tenant, each.image.image_id))
        table.add_row(Text(each.category), score, f"{each.outcome} from {each.threshold:g}", each.image.after, *names)
    return table


def _print_unanswered(console: Console, result: "BacktestResult") -> None:
    from service.tools.evaluation.backtest.words import again_text, number, unanswered_lines  # noqa: PLC0415 - as above

    if not result.unanswered:
        return
    console.print()
    console.print(Text("Scores cannot answer:", style="bold"))
    for each in unanswered_lines(result):
        console.print(Text(f"  {number(each.images)} images: {one_line(each.detail)} [{each.kind}]"))
    if again := again_text(result):
        console.print(Text(f"  {again}"))


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", overflow="fold")
    return table
