"""`python -m testing.chaos.hostile`: the hostile hour, with its table; exit code 1 when the promise is broken."""

import asyncio
import logging
import shutil
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from service.settings.types import MIB
from testing.chaos.hostile.balance import GOOD
from testing.chaos.hostile.run import ALL_LIMIT_BYTES, MAIN_LIMIT_BYTES, Options, Report, run
from testing.chaos.options import INTERRUPTED, options_parser

PLACES_SHOWN = 5


def main(arguments: Sequence[str]) -> int:
    """Run, print the tables, and say how to repeat it."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    options = _options(arguments)
    console = Console()
    console.print(repeat_line(options), soft_wrap=True, highlight=False)
    try:
        with console.status("starting") as status:
            report = asyncio.run(run(options, status.update))
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("interrupted; brokers and services are gone")
        return INTERRUPTED
    console.print(traffic_table(report), summary_table(report))
    if report.holds:
        shutil.rmtree(report.logs)
        return 0
    console.print(f"logs: {report.logs}", highlight=False)
    return 1


def repeat_line(options: Options) -> str:
    """Return the command that repeats the run."""
    given = f"MINUTES={options.minutes:g} SEED={options.seed} BROKERS={options.brokers} GAP={options.mean_gap_s:g}"
    return f"repeat with: make chaos HOSTILE=1 {given}"


def traffic_table(report: Report) -> Table:
    """Return what became of every kind of record."""
    shown = Table("kind", title="traffic")
    for name in ("fed", "verdicts", "dead letters", "p50 s", "p99 s"):
        shown.add_column(name, justify="right")
    for kind, row in sorted(report.rows.items(), key=lambda each: each[0] not in GOOD):
        counts = (str(row.fed), str(row.verdicts), str(row.dead_letters))
        shown.add_row(kind, *counts, f"{row.quantile(0.5):.2f}", f"{row.quantile(0.99):.2f}")
    return shown


def summary_table(report: Report) -> Table:
    """Return what happened, and the balance."""
    balance = report.balance
    rows: list[tuple[str, object]] = [
        ("minutes", f"{report.options.minutes:g}"),
        *sorted(report.acts.items()),
        ("most memory of a main process", _memory(report.main_bytes, MAIN_LIMIT_BYTES)),
        ("most memory with its children", _memory(report.all_bytes, ALL_LIMIT_BYTES)),
        ("services that ended by themselves", report.own_exits or 0),
        ("dead letters by reason", ", ".join(f"{reason} {count}" for reason, count in report.reasons.most_common())),
        ("good ones refused", _first(balance.refused.items())),
        ("unknown outcomes", _first(balance.unknown)),
        ("lost", _first(balance.lost)),
        ("duplicated", _first(balance.duplicated)),
    ]
    shown = Table("", "promise kept" if report.holds else "promise broken", title="hostile hour")
    for name, value in rows:
        shown.add_row(name, str(value))
    return shown


def _memory(most: int, limit: int) -> str:
    return f"{most / MIB:,.0f} of {limit / MIB:,.0f} MiB"


def _first(found: object) -> str:
    everything = list(found)  # type: ignore[call-overload]  # any of the balance's collections
    return f"{len(everything)} {everything[:PLACES_SHOWN]}" if everything else "0"


def _options(arguments: Sequence[str]) -> Options:
    defaults = Options()
    parser = options_parser(defaults, prog="python -m testing.chaos.hostile", description=__doc__)
    parser.add_argument("--minutes", type=float, default=defaults.minutes)
    return Options(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
