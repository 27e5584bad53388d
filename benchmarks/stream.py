"""The stream layer alone: exactly once against loops that promise less, on one partition of Apache Kafka.

Workload of Confluent's Parallel Consumer: 10,000 records of 100 bytes, a handler that takes 0 to 5 ms, 100 at a time,
one outcome each. Each contestant runs in a process of its own and is timed from the first record handled to the last
one committed (FastStream: published).
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvloop

from benchmarks.contest import ROOT, Contest, running_contest
from benchmarks.peers.measured import CONCURRENCY, MAX_HANDLER_S, Meter, Task
from benchmarks.runner import Comparison, Contender, TimedRun

RECORDS = 10_000
ROUNDS = 7
# A new broker compiles its transactions only after thousands of them; until then they take twice as long.
WARM_UPS = 4
# FastStream takes twelve seconds a round, and its distance is far above what the rounds differ by.
SLOW_ROUNDS = 3
# The handlers set the pace, so that no contestant can be much faster than another.
TARGET_AGAINST_PLAIN = 1.2
TARGET_AGAINST_HANDLERS = 0.75
TARGET_AGAINST_FASTSTREAM = 10.0
MODSTREAM = "benchmarks.peers.modstream_stream"
FASTSTREAM_PYTHON = ROOT / ".tools/bench/bin/python"


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare with a plain loop, with FastStream, and exactly once with at least once."""
    with running_contest() as contest:
        exactly_once = Contender("modstream, exactly once", _modstream(contest, "exactly_once"))
        at_least_once = Contender("modstream, at least once", _modstream(contest, "at_least_once"))
        plain = "benchmarks.peers.plain_aiokafka"
        versus_plain = Comparison(
            "against a plain loop",
            (
                Contender("plain aiokafka loop, at least once", _timed(contest, plain, "each")),
                Contender("the same, sends awaited together", _timed(contest, plain, "together")),
                exactly_once,
            ),
            unit="records/s",
            target_ratio=TARGET_AGAINST_PLAIN,
            rounds=ROUNDS,
            warm_ups=WARM_UPS,
        )
        ceiling = Comparison(
            "share of what the handlers allow",
            (Contender("the handlers alone, without Kafka", _handlers_alone), exactly_once),
            unit="records/s",
            target_ratio=TARGET_AGAINST_HANDLERS,
            rounds=ROUNDS,
            warm_ups=0,
        )
        cost = Comparison(
            "cost of exactly once", (at_least_once, exactly_once), unit="records/s", rounds=ROUNDS, warm_ups=0
        )
        yield (versus_plain, ceiling, cost, *_versus_faststream(contest))


def _versus_faststream(contest: Contest) -> Sequence[Comparison]:
    if not FASTSTREAM_PYTHON.exists():  # `make bench` installs it; `python -m benchmarks` alone does not
        return ()

    def against(title: str, handler_s: float, target_ratio: float | None) -> Comparison:
        app = _timed(contest, "benchmarks.peers.faststream_app", handler_s=handler_s, python=FASTSTREAM_PYTHON)
        ours = _timed(contest, MODSTREAM, "exactly_once", handler_s=handler_s)
        return Comparison(
            title,
            (Contender("FastStream, 100 workers, at most once", app), Contender("modstream, exactly once", ours)),
            unit="records/s",
            target_ratio=target_ratio,
            rounds=SLOW_ROUNDS,
            warm_ups=0,
        )

    return (
        # A hundred handlers of 2.5 ms end 40,000 records a second at most, in any contestant: no ratio beyond that.
        against("against FastStream", MAX_HANDLER_S, None),
        against("against FastStream, handlers that take no time", 0.0, TARGET_AGAINST_FASTSTREAM),
    )


def _handlers_alone() -> TimedRun:
    """Run as many handlers at a time as every contestant does, and nothing else: what no contestant can exceed."""
    meter = Meter(Task("", "", "", "", RECORDS), prints=False)
    records = iter(range(RECORDS))

    async def worker() -> None:
        for _ in records:
            await meter.handle()
            meter.done(1)

    async def workers() -> None:
        await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))

    uvloop.run(workers())
    return TimedRun(RECORDS, meter.seconds)


def _modstream(contest: Contest, delivery: str) -> Callable[[], TimedRun]:
    return _timed(contest, MODSTREAM, delivery)


def _timed(
    contest: Contest, module: str, *arguments: str, handler_s: float = MAX_HANDLER_S, python: Path | None = None
) -> Callable[[], TimedRun]:
    def run() -> TimedRun:
        result = contest.run(module, *arguments, records=RECORDS, handler_s=handler_s, python=python)
        return TimedRun(RECORDS, result.seconds)

    return run
