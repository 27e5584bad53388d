"""The processor while no engine can answer."""

import asyncio

import pytest

from service.core.availability import EngineAvailability
from service.delivery import processor as processor_module
from service.delivery.processor import Processor
from testing.handlers import SETTINGS, RequestLimiter, committed
from testing.memory_stream import MemoryStream, record
from testing.waiting import wait_until


async def test_nothing_is_taken_in_while_no_engine_answers_and_everything_after_that() -> None:
    stream, gate, availability = MemoryStream([record(0)]), RequestLimiter(), EngineAvailability()
    processor = Processor(SETTINGS, gate, availability=availability, connect=stream.connect)
    run = asyncio.create_task(processor.run())
    await wait_until(lambda: gate.started == [0], description="one record is in flight")
    availability.lose("a test wants it")
    await asyncio.sleep(0.05)
    stream.arrive(*(record(offset) for offset in range(1, 10)))
    await asyncio.sleep(0.05)
    assert gate.started == [0], "only what was in flight before"
    gate.let_go(*range(10))
    await committed(stream, 1)
    availability.regain()
    await committed(stream, 10)
    processor.drain()
    await asyncio.wait_for(run, 5)


async def test_a_process_stays_in_its_group_while_no_engine_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor_module, "_KEEP_ALIVE_S", 0.01)
    stream, availability = MemoryStream(), EngineAvailability()
    availability.lose("a test wants it")
    processor = Processor(SETTINGS, RequestLimiter(), availability=availability, connect=stream.connect)
    run = asyncio.create_task(processor.run())
    await wait_until(lambda: stream.kept_alive > 2, description="the group is kept alive again and again")
    processor.drain()
    await asyncio.wait_for(run, 5)


async def test_a_process_drains_at_once_while_no_engine_answers_and_nothing_is_in_flight() -> None:
    stream, availability = MemoryStream(), EngineAvailability()
    availability.lose("a test wants it")
    processor = Processor(SETTINGS, RequestLimiter(), availability=availability, connect=stream.connect)
    run = asyncio.create_task(processor.run())
    await asyncio.sleep(0.05)
    processor.drain()
    await asyncio.wait_for(run, 5)
