"""What a labelled sample says, as a table for a terminal."""

from rich.table import Table

from service.cli.options import output_console, warn
from service.tools.evaluation.sampling.estimate import CategoryEstimate, SampleEstimate
from service.tools.evaluation.sampling.intervals import Estimate

_FEW_DIGITS = 0.01
"""A share below it is shown with more digits: the prevalence of most categories."""


def print_estimate(found: SampleEstimate) -> None:
    """Print figures with their intervals, and what they do not say."""
    console = output_console()
    title = f"{found.labelled:,} labelled of {found.images:,} images; {found.confidence:.0%} intervals"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading in ("category", "labelled", "prevalence", "precision", "recall", "missed"):
        table.add_column(heading)
    for each in (*found.categories, found.overall):
        table.add_row(*_row(each))
    console.print(table)
    if found.not_drawn_from:
        warn(
            f"none of {found.not_drawn_from:,} allowed images was drawn, so that prevalence, recall and missed are"
            " unknown: draw a sample with --allowed-share above 0"
        )
    if missing := found.drawn - found.labelled:
        warn(f"{missing:,} of {found.drawn:,} images have no label; they are taken to be like those of their stratum")


def _row(each: CategoryEstimate) -> tuple[str, ...]:
    shown = (each.prevalence, each.precision, each.recall, each.missed)
    return (each.category or "all together", f"{each.positives:,}", *map(figure_text, shown))


def figure_text(figure: Estimate) -> str:
    """Return a share with its interval."""
    if figure.value is None:
        return "unknown"
    return f"{_share(figure.value)} ({_share(figure.low)} to {_share(figure.high)})"


def _share(share: float) -> str:
    return f"{share:.2%}" if 0.0 < share < _FEW_DIGITS else f"{share:.1%}"
