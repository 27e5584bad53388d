"""Memory of the stream layer must not depend on how much waits to be processed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.contest import Contest, Result, running_contest
from benchmarks.runner import Comparison, Contender, Stretch

SMALL_BACKLOG = 1000
LARGE_BACKLOG = 1_000_000
# Passed through the small backlog: a process that sees a thousand records in all has not even filled its buffers.
FED_RECORDS = 50_000
# The same within 10 %: the small backlog's peak over the large one's.
TARGET_RATIO = 1 / 1.1
MODULE = "benchmarks.peers.modstream_stream"


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare the highest resident memory while a small and a large backlog are processed to the end."""
    with running_contest() as contest:
        yield (
            Comparison(
                "highest resident memory, stream layer alone",
                (
                    Contender(f"backlog of {LARGE_BACKLOG:,} records", lambda: _standing(contest)),
                    Contender(f"backlog of {SMALL_BACKLOG:,} records, kept up", lambda: _fed(contest)),
                ),
                unit="MiB",
                target_ratio=TARGET_RATIO,
                rounds=1,
                warm_up=False,
                quick=False,
            ),
        )


def _standing(contest: Contest) -> Stretch:
    return _peak(contest.run(MODULE, "exactly_once", records=LARGE_BACKLOG))


def _fed(contest: Contest) -> Stretch:
    return _peak(contest.run_fed(MODULE, "exactly_once", records=FED_RECORDS, backlog=SMALL_BACKLOG))


def _peak(result: Result) -> Stretch:
    return Stretch(result.peak_mib, seconds=1.0)
