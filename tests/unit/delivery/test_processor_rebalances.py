"""Partitions that go and come back, and turns by key: work in flight is neither lost nor done twice."""

import asyncio
from collections import Counter

from service.core.records import Partition
from service.delivery.offsets import Progress
from testing.handlers import SETTINGS, RequestLimiter, committed, running
from testing.memory_stream import TOPIC, MemoryStream, record
from testing.waiting import wait_until

UPLOADS_0 = Partition(TOPIC, 0)


async def test_work_in_flight_is_adopted_when_its_partition_comes_back() -> None:
    stream, gate = MemoryStream([record(0), record(1)]), RequestLimiter()
    async with running(stream, gate):
        await wait_until(lambda: len(gate.started) == 2, description="both are in flight")
        stream.take_away(UPLOADS_0)
        gate.let_go(0)  # finishes while the partition has no owner
        stream.give_back(UPLOADS_0, Progress(0), record(0), record(1))
        gate.let_go(1)
        await committed(stream, 2)
    assert Counter(gate.started) == {0: 1, 1: 1}
    assert gate.cancelled == []


async def test_work_that_another_owner_finished_is_aborted() -> None:
    stream, gate = MemoryStream([record(0), record(1)]), RequestLimiter()
    async with running(stream, gate):
        await wait_until(lambda: len(gate.started) == 2, description="both are in flight")
        stream.take_away(UPLOADS_0)
        stream.give_back(UPLOADS_0, Progress(1), record(1))
        await wait_until(lambda: gate.cancelled == [0], description="the finished one is aborted")
        gate.let_go(1)
        await committed(stream, 1)


async def test_work_on_a_partition_that_others_hold_is_aborted() -> None:
    stream, gate = MemoryStream([record(0), record(0, partition=1)]), RequestLimiter()
    async with running(stream, gate) as processor:
        await wait_until(lambda: len(gate.started) == 2, description="both are in flight")
        stream.take_away(UPLOADS_0)
        stream.give_back(Partition(TOPIC, 1), Progress(0))
        await wait_until(lambda: len(gate.cancelled) == 1, description="the lost one is aborted")
        assert processor.counters().in_flight == 1
        gate.let_go(0)
        await committed(stream, 1)
    assert set(stream.committed) == {(1, 0)}


async def test_another_record_at_the_same_offset_is_not_mistaken_for_the_first() -> None:
    stream, gate = MemoryStream([record(0, value=b"old topic")]), RequestLimiter()
    async with running(stream, gate):
        await wait_until(lambda: gate.started == [0], description="the record is in flight")
        stream.take_away(UPLOADS_0)
        stream.give_back(UPLOADS_0, Progress(0), record(0, value=b"new topic"))
        await wait_until(lambda: gate.started == [0, 0], description="the other record is judged")
        gate.let_go(0)
        await committed(stream, 1)


async def test_records_of_one_key_are_judged_one_after_the_other_while_others_overtake() -> None:
    stream = MemoryStream([record(0, key=b"a"), record(1, key=b"a"), record(2, key=b"b"), record(3, key=b"a")])
    gate = RequestLimiter()
    settings = SETTINGS.model_copy(update={"ordering": "key"})
    async with running(stream, gate, settings):
        await wait_until(lambda: gate.started == [0, 2], description="one of each key is in flight")
        gate.let_go(2)
        await committed(stream, 1)
        gate.let_go(1, 3)
        await asyncio.sleep(0.01)
        assert gate.started == [0, 2]
        gate.let_go(0)
        await committed(stream, 4)
    assert gate.started == [0, 2, 1, 3]
