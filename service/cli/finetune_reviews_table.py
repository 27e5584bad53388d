"""Prints what was read of reviewers' decisions: counts by reviewer, rows that are no reviews, and concerns."""

from rich.table import Table

from service.cli.options import output_console, plain, warn
from service.tools.finetuning.reviews import ReviewReport

_REVIEWERS_SHOWN = 30
_UNKNOWN_SHOWN = 10


def print_reviews(report: ReviewReport) -> None:
    """Print the counts, and warn of what may spoil a model."""
    table = Table("Reviewer", "images", "yes", "no", "unsure", "agrees with most others", box=None)
    ordered = sorted(report.by_reviewer.items(), key=lambda item: (-item[1].images, item[0]))
    for name, record in ordered[:_REVIEWERS_SHOWN]:
        agreement = "" if record.agreement is None else f"{record.agreement:.0%} of {record.compared:,}"
        counts = (f"{record.answers[answer]:,}" for answer in ("yes", "no", "unsure"))
        table.add_row(plain(name), f"{record.images:,}", *counts, agreement)
    console = output_console()
    console.print(table)
    if (more := len(ordered) - _REVIEWERS_SHOWN) > 0:
        console.print(f"and {more:,} more reviewers")
    policies = ", ".join(f"{plain(name)} ({count:,})" for name, count in report.policies.most_common(_UNKNOWN_SHOWN))
    console.print(f"{report.rows:,} reviews, by policy: {policies}")
    for row in report.first_bad:
        warn(f"{row.place}: left out: {row.detail}")
    if report.bad_rows > len(report.first_bad):
        warn(f"{report.bad_rows:,} rows in all are no reviews, and left out")
    for name, count in report.unknown.most_common(_UNKNOWN_SHOWN):
        warn(f"{count:,} decisions are about {name}, which the policy does not have: map it with --map, or leave it")
    if report.ties:
        warn(f"{report.ties:,} decisions are left out, because as many people said yes as no")
    for concern in report.concerns:
        warn(f"{concern}: look at some of them, or leave the reviewer out with --without-reviewer")
