"""`python -m benchmarks [--vision] [--quick] [NAME…]`: one table of ratios from one run.

With `--vision` the benchmarks of the vision-language model, which need vLLM; without it all others. Exit code 1 when a
promised ratio is missed. A quick run has one round, and leaves the longest comparisons out: it shows that the
benchmarks work, not how fast anything is.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType

from rich.console import Console
from rich.table import Table

import benchmarks
import benchmarks.vision
from benchmarks.runner import Benchmark, Comparison, Timing, UnavailableError, find_benchmarks, measure, misses_target

QUICK = "--quick"
VISION = "--vision"
# From here on one decimal makes three figures.
THREE_FIGURES_FROM = 10.0


def main(arguments: Sequence[str]) -> int:
    """Run the named benchmarks, all of them when none is named."""
    console = Console()
    quick, names = QUICK in arguments, [name for name in arguments if name not in {QUICK, VISION}]
    package: ModuleType = benchmarks.vision if VISION in arguments else benchmarks
    known = find_benchmarks(package)
    unknown = sorted(set(names) - set(known))
    if unknown:
        console.print(f"no benchmark named {', '.join(unknown)}; there are: {', '.join(known)}")
        return 2
    table = _new_table()
    missed = sum(_run_benchmark(name, known[name], table, console, quick=quick) for name in names or known)
    console.print(table)
    return 1 if missed else 0


def _run_benchmark(name: str, benchmark: Benchmark, table: Table, console: Console, *, quick: bool) -> int:
    """Add a benchmark's rows to the table and return how many promises it missed."""
    missed = 0
    try:
        with benchmark.comparisons() as comparisons:
            for comparison in _chosen(comparisons, quick=quick):
                with console.status(f"{name}: {comparison.title}"):
                    timings = measure(comparison)
                _add_rows(table, f"{name}: {comparison.title}", comparison, timings)
                missed += misses_target(comparison, timings)
    except UnavailableError as error:
        console.print(f"{name}: skipped, {error}")
    return missed


def _chosen(comparisons: Sequence[Comparison], *, quick: bool) -> Sequence[Comparison]:
    if not quick:
        return comparisons
    return [replace(comparison, rounds=1) for comparison in comparisons if comparison.quick]


def _new_table() -> Table:
    table = Table(title="medians of interleaved rounds; ratios against the first row of each group")
    for heading in ("benchmark", "contender"):
        table.add_column(heading)
    for heading in ("rate", "ratio"):
        table.add_column(heading, justify="right")
    table.add_column("promised")
    return table


def _add_rows(table: Table, title: str, comparison: Comparison, timings: Sequence[Timing]) -> None:
    for place, timing in enumerate(timings):
        is_last = place == len(timings) - 1
        table.add_row(
            title if place == 0 else "",
            timing.name,
            f"{_number(timing.rate)} {comparison.unit}",
            f"{timing.ratio:.2f} ×",
            _verdict(comparison, timings) if is_last else "",
            end_section=is_last,
        )


def _number(rate: float) -> str:
    """Return a rate to three figures at least."""
    return f"{rate:,.1f}" if rate >= THREE_FIGURES_FROM else f"{rate:.3g}"


def _verdict(comparison: Comparison, timings: Sequence[Timing]) -> str:
    kept = "missed" if misses_target(comparison, timings) else "kept"
    if comparison.most_ratio is not None:
        return f"≤ {comparison.most_ratio:.2f} ×: {kept}"
    return "" if comparison.target_ratio is None else f"≥ {comparison.target_ratio:.2f} ×: {kept}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
