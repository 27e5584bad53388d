import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from service.inference.engine import EngineOutput
from service.inference.errors import EngineNotRunningError
from service.inference.rehearsal_engine import RehearsalEngine
from service.settings.engine import RehearsalSettings
from testing.asking import engine_request
from testing.waiting import wait_until

REQUEST = engine_request(np.zeros((32, 32, 3), np.uint8))


class Batches:
    """Stands for the time of batches: each lasts until the test ends it."""

    def __init__(self) -> None:
        self.asked_s: list[float] = []
        self._end = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.asked_s.append(seconds)
        await self._end.wait()
        self._end.clear()

    def end(self) -> None:
        self._end.set()

    async def started(self, count: int) -> None:
        await wait_until(lambda: len(self.asked_s) == count, description=f"{count} batches have started")


@pytest.fixture
def batches() -> Batches:
    return Batches()


@pytest.fixture
async def engine(batches: Batches) -> AsyncIterator[RehearsalEngine]:
    engine = RehearsalEngine(RehearsalSettings(batch_size=3, batch_s=0.5), sleep=batches.sleep)
    await engine.start()
    yield engine
    await engine.stop()


async def ask(engine: RehearsalEngine, count: int) -> list[asyncio.Task[EngineOutput]]:
    tasks = [asyncio.create_task(engine.judge(REQUEST), name="asks") for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def answered(tasks: list[asyncio.Task[EngineOutput]], count: int) -> None:
    await wait_until(lambda: sum(task.done() for task in tasks) == count, description=f"{count} are answered")


async def test_a_request_that_finds_the_engine_idle_starts_a_batch(engine: RehearsalEngine, batches: Batches) -> None:
    tasks = await ask(engine, 1)
    await batches.started(1)
    assert not tasks[0].done()
    batches.end()
    assert await tasks[0] == EngineOutput(scores=None)
    assert batches.asked_s == [0.5]


async def test_a_batch_takes_what_waits_up_to_its_size(engine: RehearsalEngine, batches: Batches) -> None:
    tasks = await ask(engine, 7)
    for started, done in [(1, 0), (2, 3), (3, 6)]:
        await batches.started(started)
        await answered(tasks, done)
        batches.end()
    await answered(tasks, 7)
    assert len(batches.asked_s) == 3


async def test_who_comes_during_a_batch_waits_for_the_next(engine: RehearsalEngine, batches: Batches) -> None:
    first = await ask(engine, 1)
    await batches.started(1)
    second = await ask(engine, 2)
    batches.end()
    await batches.started(2)
    assert [task.done() for task in first + second] == [True, False, False]
    batches.end()
    await answered(second, 2)


async def test_a_cancelled_request_takes_no_place_in_a_batch(engine: RehearsalEngine, batches: Batches) -> None:
    running = await ask(engine, 1)
    await batches.started(1)
    waiting = await ask(engine, 6)
    for task in waiting[:3]:
        task.cancel()
    await answered(waiting, 3)
    batches.end()
    await batches.started(2)
    batches.end()
    await answered(running + waiting, 7)
    assert len(batches.asked_s) == 2


async def test_no_batch_is_run_for_cancelled_requests_alone(engine: RehearsalEngine, batches: Batches) -> None:
    for task in await ask(engine, 3):
        task.cancel()
    tasks = await ask(engine, 1)
    await batches.started(1)
    batches.end()
    await answered(tasks, 1)
    assert len(batches.asked_s) == 1


async def test_a_cancelled_request_in_a_batch_harms_no_other(engine: RehearsalEngine, batches: Batches) -> None:
    tasks = await ask(engine, 3)
    await batches.started(1)
    tasks[1].cancel()
    batches.end()
    await answered(tasks, 3)
    assert [task.cancelled() for task in tasks] == [False, True, False]


async def test_a_stop_ends_requests_in_a_batch_and_in_the_queue(engine: RehearsalEngine, batches: Batches) -> None:
    tasks = await ask(engine, 5)
    await batches.started(1)
    await engine.stop()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [EngineNotRunningError] * 5


async def test_nothing_is_answered_before_the_start_or_after_the_stop(batches: Batches) -> None:
    engine = RehearsalEngine(RehearsalSettings(), sleep=batches.sleep)
    with pytest.raises(EngineNotRunningError):
        await engine.judge(REQUEST)
    await engine.start()
    await engine.stop()
    with pytest.raises(EngineNotRunningError):
        await engine.judge(REQUEST)
