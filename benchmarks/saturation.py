"""How much of an engine's capacity the service keeps busy: the engine paced as a GPU runs a vision model.

Batches of 64 take 376 ms. The service fetches photographs of the demo from a web server on this machine, decodes them
and asks the engine, while broker and web server share its cores.
"""

import asyncio
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import orjson

from benchmarks.contest import ROOT, Contest, running_contest
from benchmarks.peers.photo_server import PHOTOGRAPHS
from benchmarks.runner import Comparison, Contender, Stretch
from service.engine_settings import RehearsalSettings
from service.inference.rehearsal_engine import RehearsalEngine
from service.settings import WindowSettings
from tests.support.asking import engine_request
from tests.support.kafka import free_port

BATCHES = 60
# Long enough that filling the pipeline at first and emptying it at last weighs 1 to 2 %.
PACE = RehearsalSettings()
EVENTS = BATCHES * PACE.batch_size
TARGET_RATIO = 0.97
SERVER_START_S = 10.0


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare the service with its engine alone."""
    with running_contest() as contest, _photo_server() as port:
        yield (
            Comparison(
                f"photographs by HTTP, batches of {PACE.batch_size} in {PACE.batch_s * 1000:.0f} ms",
                (Contender("the engine alone, kept full", _engine_alone), _service(contest, port)),
                target_ratio=TARGET_RATIO,
                rounds=1,
                warm_up=False,
                quick=False,
            ),
        )


def _service(contest: Contest, port: int) -> Contender:
    names = sorted(path.name for path in PHOTOGRAPHS.glob("*.jpg"))

    def by_reference(number: int) -> bytes:
        url = f"http://127.0.0.1:{port}/{names[number % len(names)]}"
        return orjson.dumps({"image_id": str(number), "image": {"url": url}})

    def run() -> Stretch:
        module = "benchmarks.peers.modstream_service"
        return Stretch(EVENTS, contest.run(module, str(PACE.batch_s), records=EVENTS, value=by_reference).seconds)

    return Contender("modstream, exactly once", run)


def _engine_alone() -> Stretch:
    return asyncio.run(_keep_full())


async def _keep_full() -> Stretch:
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
    return Stretch(EVENTS, seconds)


@contextmanager
def _photo_server() -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.peers.photo_server", str(port)]
    with subprocess.Popen(command, cwd=ROOT) as server:  # noqa: S603 - a module of this package
        try:
            _wait_for(f"http://127.0.0.1:{port}/")
            yield port
        finally:
            server.terminate()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + SERVER_START_S
    while True:
        try:
            urllib.request.urlopen(url)  # noqa: S310 - our own server
        except urllib.error.HTTPError:  # it answers, if only that it lists no folders
            return
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
