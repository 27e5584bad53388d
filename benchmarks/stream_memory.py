"""Memory of the stream layer must not depend on how much waits to be processed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.contest import Contest, running_contest
from benchmarks.runner import Comparison, Contender, Stretch

SMALL_BACKLOG = 1000
LARGE_BACKLOG = 1_000_000
# The same within 10 %: the small backlog's peak over the large one's.
TARGET_RATIO = 1 / 1.1


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare the highest resident memory while a small and a large backlog are processed to the end."""
    with running_contest() as contest:
        yield (
            Comparison(
                "highest resident memory, stream layer alone",
                tuple(_contender(contest, records) for records in (LARGE_BACKLOG, SMALL_BACKLOG)),
                unit="MiB",
                target_ratio=TARGET_RATIO,
                rounds=1,
                warm_up=False,
                quick=False,
            ),
        )


def _contender(contest: Contest, records: int) -> Contender:
    def run() -> Stretch:
        result = contest.run("benchmarks.peers.modstream_stream", "exactly_once", records=records)
        return Stretch(result.peak_mib, seconds=1.0)

    return Contender(f"backlog of {records:,} records", run)
