"""How much of an engine's capacity the service keeps busy: the engine paced as a GPU runs a vision model.

Batches of 64 take 376 ms. The service fetches photographs of the demo from a web server on this machine, decodes them
and asks the engine, while broker and web server share its cores.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np

from benchmarks.contest import Contest, running_contest
from benchmarks.photographs import by_reference, photo_server
from benchmarks.runner import Comparison, Contender, TimedRun
from service.inference.rehearsal_engine import RehearsalEngine
from service.settings.delivery import WindowSettings
from service.settings.engine import RehearsalSettings
from testing.asking import engine_request

BATCHES = 120
# Long enough that filling the pipeline at first and emptying it at last weighs 1 %.
PACE = RehearsalSettings()
EVENTS = BATCHES * PACE.batch_size
TARGET_RATIO = 0.97


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare the service with its engine alone."""
    with running_contest() as contest, photo_server() as address:
        yield (
            Comparison(
                f"photographs by HTTP, batches of {PACE.batch_size} in {PACE.batch_s * 1000:.0f} ms",
                (Contender("the engine alone, kept full", _engine_alone), _service(contest, address)),
                target_ratio=TARGET_RATIO,
                rounds=1,
                warm_ups=0,
                quick=False,
            ),
        )


def _service(contest: Contest, address: str) -> Contender:
    value = partial(by_reference, address)

    def run() -> TimedRun:
        module = "benchmarks.peers.modstream_service"
        return TimedRun(EVENTS, contest.run(module, str(PACE.batch_s), records=EVENTS, value=value).seconds)

    return Contender("modstream, exactly once", run)


def _engine_alone() -> TimedRun:
    return asyncio.run(_keep_full())


async def _keep_full() -> TimedRun:
    engine = RehearsalEngine(PACE)
    await engine.start()
    in_flight = asyncio.Semaphore(WindowSettings().max_records)
    pixels = np.zeros((1, 1, 3), dtype=np.uint8)

    async def judge(number: int) -> None:
        async with in_flight:
            await engine.judge(engine_request(pixels))

    start = time.perf_counter()
    await asyncio.gather(*(judge(number) for number in range(EVENTS)))
    seconds = time.perf_counter() - start
    await engine.stop()
    return TimedRun(EVENTS, seconds)
