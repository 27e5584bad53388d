"""Records in: fair turns, deferred records, the span, and waits that can be ended."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    NoOffsetForPartitionError,
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
)

from service.core.headers import NOT_BEFORE
from service.core.records import Partition, SourceRecord, Unreadable
from service.delivery.consumer import KafkaStream
from service.delivery.offsets import PartitionProgress, Progress
from service.delivery.partition import AssignedPartition
from service.kafka.errors import ConsumerFailedError, RecordUnreadableError
from service.kafka.fetch_refusals import FetchRefusals
from service.kafka.log_bounds import LogBounds, LogEnds
from testing.committing import a_committer
from testing.partition_store import PartitionStore, StoreWriter

UPLOADS, RETRY = "images.uploaded", "images.uploaded.retry.30s"
RETRY_DELAY_S = 30.0
WRITTEN_AT_MS = 100_000


def consumer_record(partition: TopicPartition, offset: int, headers: tuple[tuple[str, bytes], ...]) -> SourceRecord:
    return SourceRecord(partition.topic, partition.partition, offset, WRITTEN_AT_MS, None, b"", headers)


class LogConsumer:
    """What a stream needs of aiokafka's consumer, on logs in memory: it empties one partition after the other."""

    def __init__(self) -> None:
        self.logs: dict[TopicPartition, list[SourceRecord]] = {}
        self.positions: Counter[TopicPartition] = Counter()
        self.polls: list[tuple[TopicPartition, ...]] = []
        self.failure: Exception | None = None

    def add(self, partition: TopicPartition, count: int, headers: tuple[tuple[str, bytes], ...] = ()) -> None:
        log = self.logs.setdefault(partition, [])
        log += [consumer_record(partition, len(log) + n, headers) for n in range(count)]

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition] = offset

    async def bounds(self, partitions: Collection[Partition]) -> dict[Partition, LogBounds]:
        if self.failure:
            raise self.failure
        ends = {partition: len(self.logs.get(TopicPartition(*partition), ())) for partition in partitions}
        return {partition: LogBounds(0, end, end) for partition, end in ends.items()}

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[SourceRecord]]:
        self.polls.append(partitions)
        if self.failure:
            raise self.failure
        found = {}
        for partition in self.logs:
            if partition in partitions and max_records:
                position = self.positions[partition]
                records = self.logs[partition][position : position + max_records]
                self.positions[partition] += len(records)
                max_records -= len(records)
                if records:
                    found[partition] = records
        if not found:
            await asyncio.sleep(timeout_ms / 1000)
        return found


class Setup:
    """A stream on logs, with open_partitions for some partitions."""

    def __init__(self, *, max_span: int = 100, now_s: Callable[[], float] = lambda: 0.0) -> None:
        self.consumer = LogConsumer()
        self.open_partitions: dict[Partition, AssignedPartition] = {}
        self.refused: dict[TopicPartition, int] = {}
        assignment = SimpleNamespace(
            open_partitions=self.open_partitions,
            changed=asyncio.Event(),
            is_complete=True,
            out_of_range=self.refused.update,
            guard=SimpleNamespace(lost=0),
        )
        self.ends = LogEnds(self.consumer.bounds, without_any=Partition(UPLOADS, 0), clock=lambda: 5.0)
        self.stream = KafkaStream(
            self.consumer,
            assignment,  # type: ignore[arg-type]  # the part of an assignment that a stream reads
            ends=self.ends,
            refusals=FetchRefusals(),
            retry_delays_s={RETRY: RETRY_DELAY_S},
            max_span=max_span,
            now_s=now_s,
        )

    def open(self, topic: str, partition: int = 0) -> TopicPartition:
        progress = PartitionProgress(Progress(0))
        committer = a_committer(StoreWriter(PartitionStore()), progress)
        place = Partition(topic, partition)
        self.open_partitions[place] = AssignedPartition(place, progress, committer)
        return TopicPartition(*place)

    async def received(self, max_records: int) -> list[tuple[str, int, int]]:
        return [
            (record.topic, record.partition, record.offset)
            for _, records in await self.stream.receive(max_records)
            for record in records
        ]


async def test_partitions_take_turns_although_one_holds_more_than_all_take() -> None:
    setup = Setup()
    for partition in range(3):
        setup.consumer.add(setup.open(UPLOADS, partition), 50)
    taken = Counter[int]()
    for _ in range(30):
        taken.update(partition for _, partition, _ in await setup.received(1))
    assert taken == {0: 10, 1: 10, 2: 10}


async def test_an_empty_partition_costs_others_no_turn() -> None:
    setup = Setup()
    setup.open(UPLOADS, 1)
    setup.consumer.add(setup.open(UPLOADS, 0), 4)
    assert len([await setup.received(1) for _ in range(4)]) == 4
    assert setup.consumer.positions[TopicPartition(UPLOADS, 0)] == 4


async def test_a_partition_that_is_not_open_is_not_read() -> None:
    setup = Setup()
    setup.consumer.add(TopicPartition(UPLOADS, 0), 4)
    setup.consumer.add(setup.open(UPLOADS, 1), 1)
    assert await setup.received(10) == [(UPLOADS, 1, 0)]
    assert not setup.consumer.positions[TopicPartition(UPLOADS, 0)]


async def test_an_offset_that_the_broker_refuses_is_passed_on_and_ends_nothing() -> None:
    setup = Setup()
    setup.consumer.add(setup.open(UPLOADS, 0), 1)
    setup.consumer.failure = OffsetOutOfRangeError({TopicPartition(UPLOADS, 0): 20})
    assert await setup.received(1) == []
    assert setup.refused == {TopicPartition(UPLOADS, 0): 20}
    setup.consumer.failure = NoOffsetForPartitionError(TopicPartition(UPLOADS, 0))
    assert await setup.received(1) == []
    setup.consumer.failure = None
    assert await setup.received(1) == [(UPLOADS, 0, 0)]


async def test_a_partition_rests_at_its_span_while_others_go_on() -> None:
    setup = Setup(max_span=3)
    setup.consumer.add(setup.open(UPLOADS, 0), 10)
    assert [offset for _, _, offset in await setup.received(10)] == [0, 1, 2, 3]
    setup.consumer.add(setup.open(UPLOADS, 1), 1)
    assert await setup.received(10) == [(UPLOADS, 1, 0)]
    assert await setup.received(10) == []
    progress = setup.open_partitions[Partition(UPLOADS, 0)].progress
    progress.apply(progress.plan([0, 1]), [0, 1])
    assert [offset for _, _, offset in await setup.received(10)] == [4, 5]


async def test_a_record_that_was_put_off_waits_until_it_is_due_and_those_behind_it_too() -> None:
    now_s = 100.0
    setup = Setup(now_s=lambda: now_s)
    partition = setup.open(RETRY)
    setup.consumer.add(partition, 1, ((NOT_BEFORE, b"90000"),))
    setup.consumer.add(partition, 2, ((NOT_BEFORE, b"130000"),))
    assert await setup.received(10) == [(RETRY, 0, 0)]
    polls = len(setup.consumer.polls)
    assert await setup.received(10) == []
    assert all(partition not in poll for poll in setup.consumer.polls[polls:])
    now_s = 130.0
    assert await setup.received(10) == [(RETRY, 0, 1), (RETRY, 0, 2)]


@pytest.mark.parametrize("not_before", [None, b"", b"9" * 400, b"9" * 5000, b"253402300799999", b"\xff", b"-1", b"1_0"])
async def test_a_forged_not_before_rests_no_partition_beyond_its_tier(not_before: Any) -> None:
    now_s = 100.0
    setup = Setup(now_s=lambda: now_s)
    setup.consumer.add(setup.open(RETRY), 1, ((NOT_BEFORE, not_before),))
    first = await setup.received(10)
    now_s += RETRY_DELAY_S
    assert [*first, *await setup.received(10)] == [(RETRY, 0, 0)]


async def test_an_upload_is_judged_at_once_whatever_its_headers_say() -> None:
    setup = Setup()
    setup.consumer.add(setup.open(UPLOADS), 1, ((NOT_BEFORE, b"130000"),))
    assert await setup.received(10) == [(UPLOADS, 0, 0)]


async def test_a_wait_for_records_ends_when_woken() -> None:
    setup = Setup()
    setup.open(UPLOADS)
    setup.consumer.getmany = hang  # type: ignore[method-assign]  # as aiokafka does during a rebalance
    receiving = asyncio.create_task(setup.stream.receive(1))
    await asyncio.sleep(0)
    setup.stream.wake()
    async with asyncio.timeout(5):
        assert await receiving == []


async def hang(
    *_partitions: TopicPartition, timeout_ms: int, max_records: int
) -> dict[TopicPartition, list[SourceRecord]]:
    await asyncio.Event().wait()
    raise AssertionError((timeout_ms, max_records))


async def test_a_wake_before_a_wait_counts_for_it() -> None:
    setup = Setup()
    setup.consumer.add(setup.open(UPLOADS), 1)
    setup.stream.wake()
    assert await setup.received(1) == []
    assert await setup.received(1) == [(UPLOADS, 0, 0)]


async def test_the_group_learns_that_a_full_process_lives() -> None:
    setup = Setup()
    setup.consumer.add(setup.open(UPLOADS), 1)
    await setup.stream.keep_alive()
    assert len(setup.consumer.polls) == 1
    assert not setup.consumer.positions[TopicPartition(UPLOADS, 0)]


async def test_a_corrupt_record_stops_the_service_rather_than_being_skipped() -> None:
    setup = Setup()
    setup.open(UPLOADS)
    setup.consumer.failure = CorruptRecordException("test")
    with pytest.raises(ConsumerFailedError):
        await setup.stream.receive(1)


async def test_a_passing_error_is_ridden_out() -> None:
    setup = Setup()
    setup.open(UPLOADS)
    setup.consumer.failure = NotLeaderForPartitionError("test")
    assert await setup.stream.receive(1) == []


async def test_what_stands_for_several_offsets_is_passed_with_all_of_them() -> None:
    setup = Setup()
    place = setup.open(UPLOADS)
    unreadable = Unreadable(RecordUnreadableError, "", 4)
    batch = SourceRecord(UPLOADS, 0, 0, 0, None, b"", (), unreadable=unreadable)
    setup.consumer.logs[place] = [batch, consumer_record(place, 4, ()), consumer_record(place, 5, ())]

    ((_, records),) = await setup.stream.receive(10)

    assert records[0] is batch
    assert [record.offset for record in records] == [0, 5]
    progress = setup.open_partitions[Partition(*place)].progress
    assert progress.plan([0]) == Progress(5)
    assert progress.plan([5]) == Progress(0, 1 << 5)


async def test_what_spans_more_than_may_be_in_flight_waits_until_it_is_alone() -> None:
    setup = Setup(max_span=3)
    place = setup.open(UPLOADS)
    progress = setup.open_partitions[Partition(*place)].progress
    wide = SourceRecord(UPLOADS, 0, 1, 0, None, b"", (), unreadable=Unreadable(RecordUnreadableError, "", 100))
    setup.consumer.logs[place] = [consumer_record(place, 0, ()), wide]

    assert [offset for _, _, offset in await setup.received(10)] == [0]
    progress.apply(progress.plan([0]), [0])
    assert [offset for _, _, offset in await setup.received(10)] == [1]
    assert progress.plan([1]) == Progress(101)
