"""A comparison as a table for a terminal."""

from rich.table import Table

from service.cli.options import output_console, plain, warn
from service.telemetry.plain_text import one_line
from service.tools.evaluation.quality.compare import Comparison, sentence_of
from service.tools.evaluation.quality.comparison_report import HEADINGS, difference_text, left_out, p_text
from service.tools.evaluation.quality.paired import COMPARED


def print_comparison(found: Comparison) -> None:
    """Print the difference of every figure with its interval, and the tests."""
    console = output_console()
    title = f"A is {one_line(found.first)}, B is {one_line(found.second)}; B minus A, 95 % intervals"
    table = Table(title=plain(title), title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading in ("category", "images", *(HEADINGS[name] for name in COMPARED), "right only A : B", "p", "p (Holm)"):
        table.add_column(heading)
    for each in found.categories:
        table.add_row(
            each.category,
            f"{each.positives:,} of {each.images:,}",
            *(difference_text(each.figures[name]).replace(" (", "\n(") for name in COMPARED),
            f"{each.test.only_first:,} : {each.test.only_second:,}",
            p_text(each.test.p_value),
            p_text(each.p_corrected),
        )
    console.print(table)
    console.print(f"\n{sentence_of(found)}", soft_wrap=True)
    for sentence in left_out(found):
        warn(one_line(sentence))
