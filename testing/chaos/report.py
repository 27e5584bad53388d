"""A run's report as a table, and the line that repeats the run."""

from rich.table import Table

from testing.chaos.nemesis import Act
from testing.chaos.trial import Options, Report

# Enough to find them in the logs.
NUMBERS_SHOWN = 10


def table(report: Report) -> Table:
    """Return what happened, and lost and duplicated at the end."""
    balance = report.balance
    rows: list[tuple[str, object]] = [
        ("records", f"{report.options.records:,} on {report.options.partitions} partitions"),
        ("brokers", report.options.brokers),
        ("seconds", f"{report.seconds:.1f}"),
        ("throughput", f"{report.options.records / report.seconds:,.0f} records/s, fed at {_pace(report.options)}"),
        *((f"{act}s", report.acts[act]) for act in Act),
        ("rebalances", report.rebalances),
        ("longest silence", f"{report.longest_silence_s:.1f} s"),
        ("workers that ended by themselves", len(report.own_exits)),
        ("workers killed at the end", len(report.killed_at_end)),
        ("lost", _numbers(balance.lost)),
        ("duplicated", _numbers(balance.duplicated)),
        ("astray", _numbers(balance.astray)),
    ]
    shown = Table("", f"{report.options.worker}: {_verdict(report)}", title="chaos")
    for name, value in rows:
        shown.add_row(name, str(value))
    return shown


def repeat_line(options: Options) -> str:
    """Return the command that makes the same misfortunes at the same times."""
    return (
        f"make chaos SEED={options.seed} RECORDS={options.records} PARTITIONS={options.partitions}"
        f" BROKERS={options.brokers} PACE={options.records_per_s} GAP={options.mean_gap_s:g} WORKER={options.worker}"
    )


def _pace(options: Options) -> str:
    return f"{options.records_per_s:,}/s"


def _verdict(report: Report) -> str:
    if report.balance.fed_twice:
        return "void: the harness itself fed records twice"
    if report.holds:
        return "promise kept"
    return "stuck" if report.stuck and report.balance.holds else "promise broken"


def _numbers(numbers: tuple[int, ...]) -> str:
    if not numbers:
        return "0"
    more = ", …" if len(numbers) > NUMBERS_SHOWN else ""
    return f"{len(numbers):,} ({', '.join(map(str, numbers[:NUMBERS_SHOWN]))}{more})"
