"""Memory must not depend on how much waits to be processed: the highest resident memory of a process at two backlogs.

The promise is about the whole service, as it runs; the stream layer alone, at its highest rate, is shown beside it. The
small backlog is larger than what a process has in flight and fetches ahead: from there on nothing may grow.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from benchmarks.contest import Result, running_contest
from benchmarks.photographs import by_reference, photo_server
from benchmarks.runner import Comparison, Contender, TimedRun

SMALL_BACKLOG = 10_000
LARGE_BACKLOG = 1_000_000
# Passed through the service at each backlog: long enough that its memory has settled.
PHOTOGRAPHS = 6000
# The same for the stream layer: a process that sees a few thousand records in all has not even filled its buffers.
RECORDS = 50_000
# The same within 10 %: the small backlog's peak over the large one's.
TARGET_RATIO = 1 / 1.1
STREAM = "benchmarks.peers.modstream_stream"
SERVICE = "benchmarks.peers.modstream_service"
ANSWERS_AT_ONCE = "0"


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare the highest resident memory with a small and a large backlog waiting."""
    with running_contest() as contest, photo_server() as address:
        value = partial(by_reference, address)
        service = _contenders(
            lambda: contest.run(SERVICE, ANSWERS_AT_ONCE, records=PHOTOGRAPHS, value=value, backlog=LARGE_BACKLOG),
            lambda: contest.run_fed(SERVICE, ANSWERS_AT_ONCE, records=PHOTOGRAPHS, backlog=SMALL_BACKLOG, feed=address),
        )
        stream = _contenders(
            lambda: contest.run(STREAM, "exactly_once", records=RECORDS, backlog=LARGE_BACKLOG),
            lambda: contest.run_fed(STREAM, "exactly_once", records=RECORDS, backlog=SMALL_BACKLOG),
        )
        yield (
            _comparison("the whole service, photographs by HTTP", service, target_ratio=TARGET_RATIO),
            _comparison("the stream layer alone", stream),
        )


def _contenders(large: Callable[[], Result], small: Callable[[], Result]) -> tuple[Contender, Contender]:
    return (
        Contender(f"backlog of {LARGE_BACKLOG:,} records", lambda: _peak(large())),
        Contender(f"backlog of {SMALL_BACKLOG:,} records, kept up", lambda: _peak(small())),
    )


def _comparison(
    title: str, contenders: tuple[Contender, Contender], *, target_ratio: float | None = None
) -> Comparison:
    return Comparison(
        f"highest resident memory, {title}",
        contenders,
        unit="MiB",
        target_ratio=target_ratio,
        rounds=1,
        warm_ups=0,
        quick=False,
    )


def _peak(result: Result) -> TimedRun:
    return TimedRun(result.peak_mib, seconds=1.0)
