"""What audits say of what is missed, as tables for a terminal."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from service.cli.evaluate_estimate_table import figure_text
from service.cli.options import output_console, warn
from service.telemetry.plain_text import one_line
from service.tools.evaluation.sampling.audits import CategoryMisses, PolicyMisses

_WELL_REPRESENTED = (0.8, 1.25)
"""Outside, audits were off for a part of the time, or many records were lost."""
_MOSTLY_DONE = 0.9


def print_misses(found: Sequence[PolicyMisses], confidence: float) -> None:
    """Print a table for each policy, and what it does not say."""
    console = output_console()
    for each in found:
        name = one_line(each.policy)
        if each.overall is None:
            warn(f"policy {name}: {each.refused}")
            continue
        title = (
            f"policy {name}: {each.audited:,} audits of {each.allowed:,.0f} allowed images, {each.done:.0%} of the"
            f" chosen ones; {confidence:.0%} intervals"
        )
        table = Table(title=escape(title), title_justify="left", box=None, padding=(0, 2, 0, 0))
        headings = ["category", "found", "missed", "recall"]
        headings += ["truly missed", "true recall"] if each.labelled else []
        for heading in headings:
            table.add_column(heading)
        for row in (*each.categories, each.overall):
            table.add_row(*_row(row))
        console.print(table)
        _print_limits(name, each)


def _row(each: CategoryMisses) -> tuple[str, ...]:
    figures = (each.missed, each.recall, each.truly_missed, each.true_recall)
    texts = (figure_text(figure) for figure in figures if figure is not None)
    return (escape(one_line(each.category or "all together")), f"{each.found:,}", *texts)


def _print_limits(name: str, each: PolicyMisses) -> None:
    if each.done < _MOSTLY_DONE:
        warn(
            f"policy {name}: {1 - each.done:.0%} of the chosen images were left out, mostly while the engine was busy;"
            " the figures take them to be like the audited ones of their day"
        )
    low, high = _WELL_REPRESENTED
    if each.represented > high:
        warn(f"policy {name}: the archive lacks verdicts of that time: audits stand for more images than it has")
    elif each.represented < low:
        warn(
            f"policy {name}: the audits stand for {each.represented:.0%} of the images that the archive has as allowed"
            " in that time: audits were off for a part of it, or records were lost"
        )
    if each.is_lower_bound:
        warn(
            f"policy {name}: no audit without a find has a label, so what is truly missed may be more: label some of"
            " --sheet's rows without a find, too"
        )
