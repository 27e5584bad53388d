"""Shares of the process: what one tenant's records wait for delays no other tenant's."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.core.records import OutgoingRecord, Partition, SourceRecord
from service.delivery.handler import Job, Reading
from service.delivery.offsets import Progress
from service.delivery.processor import Processor
from service.settings.delivery import RetrySettings, WindowSettings
from service.settings.settings import Settings
from testing.handlers import SETTINGS, BusyError, RequestLimiter, committed, verdict
from testing.memory_stream import TOPIC, MemoryPartition, MemoryStream, record
from testing.waiting import wait_until

UPLOADS_0 = Partition(TOPIC, 0)
TWO_SLOTS = SETTINGS.model_copy(update={"window": WindowSettings(max_records=2, max_waiting=100)})


def read(source: SourceRecord) -> Reading:
    """Take the value for the tenant; one that begins with "url" has its image fetched."""
    value = (source.value or b"").decode()
    return Reading(value.removeprefix("url "), is_fetched=value.startswith("url"))


def of(tenant: str, offset: int, key: bytes | None = None) -> SourceRecord:
    return record(offset, key=key, value=tenant.encode())


@asynccontextmanager
async def sharing(
    stream: MemoryStream, handler: "RequestLimiter | Fetching", settings: Settings = TWO_SLOTS
) -> AsyncIterator[Processor]:
    """Run a processor that reads tenants."""
    processor = Processor(settings, handler, read=read, connect=stream.connect)
    run = asyncio.create_task(processor.run())
    yield processor
    processor.drain()
    await run


class Fetching:
    """A handler that fetches, without a slot, and then judges."""

    def __init__(self) -> None:
        self.fetch = RequestLimiter()
        self.judge = RequestLimiter()

    async def __call__(self, job: Job, /) -> tuple[OutgoingRecord, ...]:
        """Fetch for those that name an image, then judge."""
        if job.reading.is_fetched:
            await self.fetch(job)
            await job.resources.acquire_slot()
        return await self.judge(job)


async def test_a_burst_of_one_tenant_delays_another_by_its_turn_alone() -> None:
    burst = [of("shop", offset) for offset in range(50)]
    stream, gate = MemoryStream([*burst, of("club", 50)]), RequestLimiter()
    async with sharing(stream, gate) as processor:
        await wait_until(lambda: processor.counters().in_flight == 51, description="all are read")
        assert gate.started == [0, 1]
        gate.let_go(0, 1)
        await wait_until(lambda: len(gate.started) == 4, description="two more start")
        assert gate.started == [0, 1, 2, 50]
        gate.let_go(*range(51))
        await committed(stream, 51)


async def test_records_whose_images_are_fetched_leave_the_slots_to_others() -> None:
    stream, handler = MemoryStream([*(of("url shop", offset) for offset in range(50)), of("club", 50)]), Fetching()
    async with sharing(stream, handler):
        handler.judge.let_go(*range(51))
        await committed(stream, 1)
        assert set(stream.committed) == {(0, 50)}
        assert len(handler.fetch.started) == 50
        handler.fetch.let_go(*range(50))
        await committed(stream, 51)


async def test_what_is_fetched_waits_for_a_slot() -> None:
    stream, handler = MemoryStream([of("url shop", offset) for offset in range(5)]), Fetching()
    async with sharing(stream, handler):
        handler.fetch.let_go(*range(5))
        await wait_until(lambda: len(handler.judge.started) == 2, description="both slots are taken")
        await asyncio.sleep(0.01)
        assert len(handler.judge.started) == 2
        handler.judge.let_go(*range(5))
        await committed(stream, 5)


async def test_a_record_leaves_its_slot_while_it_waits_for_its_next_attempt() -> None:
    stream = MemoryStream([of("shop", 0), of("shop", 1), of("club", 2)])
    attempts: Counter[int] = Counter()

    async def busy(job: Job) -> tuple[OutgoingRecord, ...]:
        attempts[job.record.offset] += 1
        if job.record.offset < 2 and job.attempt == 1:
            raise BusyError
        return verdict(job)

    patient = TWO_SLOTS.model_copy(update={"retry": RetrySettings(initial_backoff_s=0.2, jitter=0.0)})
    processor = Processor(patient, busy, read=read, connect=stream.connect)
    run = asyncio.create_task(processor.run())
    await committed(stream, 1)
    assert set(stream.committed) == {(0, 2)}
    await committed(stream, 3)
    assert attempts == {0: 2, 1: 2, 2: 1}
    processor.drain()
    await run


async def test_records_of_one_key_keep_their_order_whatever_they_wait_for() -> None:
    records = [of("url shop", 0, b"a"), of("club", 1, b"a"), of("club", 2, b"b"), of("url club", 3, b"a")]
    stream, handler = MemoryStream(records), Fetching()
    handler.judge.let_go(*range(4))
    async with sharing(stream, handler, TWO_SLOTS.model_copy(update={"ordering": "key"})):
        await committed(stream, 1)
        assert set(stream.committed) == {(0, 2)}
        handler.fetch.let_go(3)
        await asyncio.sleep(0.01)
        assert (handler.fetch.started, handler.judge.started) == ([0], [2])
        handler.fetch.let_go(0)
        await committed(stream, 4)
    assert handler.judge.started == [2, 0, 1, 3]


async def test_records_of_one_key_that_wait_for_each_other_hold_no_slots() -> None:
    records = [of("shop", offset, b"a") for offset in range(10)] + [of("club", 10, b"b")]
    stream, gate = MemoryStream(records), RequestLimiter()
    async with sharing(stream, gate, TWO_SLOTS.model_copy(update={"ordering": "key"})):
        await wait_until(lambda: gate.started == [0, 10], description="one of each key is in work")
        gate.let_go(*range(11))
        await committed(stream, 11)
    assert gate.started == [0, 10, *range(1, 10)]


async def test_an_aborted_record_lets_the_next_of_its_key_start() -> None:
    stream, gate = MemoryStream([of("shop", offset, b"a") for offset in range(3)]), RequestLimiter()
    async with sharing(stream, gate, TWO_SLOTS.model_copy(update={"ordering": "key"})):
        await wait_until(lambda: gate.started == [0], description="the first is in work")
        stream.take_away(UPLOADS_0)
        stream.give_back(UPLOADS_0, Progress(0, 0b11), of("shop", 2, b"a"))
        gate.let_go(2)
        await committed(stream, 1)
    assert (gate.started, gate.cancelled) == ([0, 2], [0])


async def test_waiting_records_of_a_lost_partition_are_forgotten_with_their_slots() -> None:
    records = [*(of("shop", offset) for offset in range(5)), *(of("url shop", offset) for offset in range(5, 8))]
    stream, handler = MemoryStream([*records, record(0, value=b"club", partition=1)]), Fetching()
    async with sharing(stream, handler) as processor:
        await wait_until(lambda: processor.counters().in_flight == 9, description="all are read")
        handler.fetch.let_go(5)  # it waits for a slot from now on
        await asyncio.sleep(0.01)
        stream.take_away(UPLOADS_0)
        stream.give_back(Partition(TOPIC, 1), Progress(0))
        await wait_until(lambda: processor.counters().in_flight == 1, description="the others are aborted")
        await wait_until(lambda: handler.judge.started == [0, 1, 0], description="the slots are free again")
        handler.judge.let_go(0)
        await committed(stream, 1)


async def test_records_that_wait_are_adopted_when_their_partition_comes_back() -> None:
    records = [of("shop", 0), of("shop", 1), of("shop", 2), of("url shop", 3)]
    stream, handler = MemoryStream(records), Fetching()
    async with sharing(stream, handler) as processor:
        await wait_until(lambda: processor.counters().in_flight == 4, description="all are read")
        stream.take_away(UPLOADS_0)
        stream.give_back(UPLOADS_0, Progress(0), *records)
        handler.fetch.let_go(3)
        handler.judge.let_go(*range(4))
        await committed(stream, 4)
    assert sorted(handler.judge.started) == [0, 1, 2, 3]
    assert handler.fetch.started == [3]


async def test_a_drain_leaves_what_has_not_started_to_the_next_owner() -> None:
    stream, gate = MemoryStream([of("shop", offset) for offset in range(5)]), RequestLimiter()
    async with sharing(stream, gate) as processor:
        await wait_until(lambda: processor.counters().in_flight == 5, description="all are read")
        processor.drain()
        gate.let_go(*range(5))
    assert set(stream.committed) == {(0, 0), (0, 1)}


async def test_the_event_loop_gets_its_turn_while_records_that_take_long_are_read() -> None:
    now_s = 0.0
    seen: list[str] = []

    def slowly(source: SourceRecord) -> Reading:
        nonlocal now_s
        now_s += 0.006
        seen.append(f"read {source.offset}")
        if source.offset == 0:
            asyncio.get_running_loop().call_soon(seen.append, "turn")
        return read(source)

    tenants: list[str] = []

    async def note(job: Job, /) -> tuple[OutgoingRecord, ...]:
        tenants.append(job.reading.tenant)
        return verdict(job)

    class OnePoll(MemoryStream):
        async def receive(self, max_records: int) -> list[tuple[MemoryPartition, list[SourceRecord]]]:
            received = await super().receive(max_records)
            return [(received[0][0], [each for _, (each,) in received])] if received else []

    stream = OnePoll([of("shop", offset) for offset in range(5)])
    processor = Processor(SETTINGS, note, read=slowly, connect=stream.connect, clock=lambda: now_s)
    run = asyncio.create_task(processor.run())
    await wait_until(lambda: len(tenants) == 5, description="all are handled")
    processor.drain()
    await run
    assert seen == ["read 0", "read 1", "turn", "read 2", "read 3", "read 4"]
    assert tenants == ["shop"] * 5


async def test_a_defect_in_reading_a_record_costs_nothing_but_its_share() -> None:
    def defective(source: SourceRecord) -> Reading:
        if source.offset == 1:
            raise ValueError("a defect")
        return read(source)

    tenants: list[str] = []

    async def note(job: Job, /) -> tuple[OutgoingRecord, ...]:
        tenants.append(job.reading.tenant)
        return verdict(job)

    stream = MemoryStream([of("shop", offset) for offset in range(3)])
    processor = Processor(SETTINGS, note, read=defective, connect=stream.connect)
    run = asyncio.create_task(processor.run())
    await committed(stream, 3)
    processor.drain()
    await run
    assert tenants == ["shop", "", "shop"]


async def test_what_is_aborted_before_it_starts_keeps_no_memory_while_no_slot_becomes_free() -> None:
    stream, gate = MemoryStream([of("shop", offset) for offset in range(3)]), RequestLimiter()
    async with sharing(stream, gate) as processor:
        await wait_until(lambda: processor.counters().in_flight == 3, description="all are read")
        waiting = processor._in_flight._partitions[UPLOADS_0][2]
        stream.take_away(UPLOADS_0)
        stream.give_back(Partition(TOPIC, 1), Progress(0))
        assert (waiting.record.value, waiting.reading.tenant) == (None, "")
        gate.let_go(0, 1)
