"""Logs are followed while partitions are open."""

import asyncio
from collections.abc import Collection
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, NodeNotReadyError

from service.stream.lane import Lane
from service.stream.log_bounds import LogBounds, LogEnds
from service.stream.log_watch import LogWatch
from service.stream.offsets import PartitionProgress, Progress
from service.stream.records import Partition
from tests.support.committing import a_committer
from tests.support.partition_store import PartitionStore, StoreWriter
from tests.support.waiting import wait_until

PLACE, OTHER = Partition("images.uploaded", 0), Partition("images.uploaded", 1)


class Setup:
    """A watch over lanes, brokers and positions of the test's choice."""

    def __init__(self) -> None:
        self.lanes: dict[Partition, Lane] = {}
        self.asked: list[list[Partition]] = []
        self.failure: Exception | None = None
        self.bounds = LogBounds(0, 7, 7)
        self.positions: dict[Partition, int] = {}
        self.store = PartitionStore()
        self.ends = LogEnds(self._read, without_any=PLACE)
        self.watch = LogWatch(
            self,
            SimpleNamespace(lanes=self.lanes),  # type: ignore[arg-type]  # what a watch reads of an assignment
            self.ends,
        )

    def open(self, partition: Partition = PLACE, *, base: int = 0) -> Lane:
        progress, writer = PartitionProgress(Progress(base)), StoreWriter(self.store)
        writer.is_open = True
        committer = a_committer(writer, progress)
        self.lanes[partition] = Lane(partition, progress, committer)
        return self.lanes[partition]

    async def position(self, partition: TopicPartition) -> int:
        if Partition(*partition) not in self.positions:
            raise IllegalStateError("not assigned")
        return self.positions[Partition(*partition)]

    async def _read(self, partitions: Collection[Partition]) -> dict[Partition, LogBounds]:
        self.asked.append(list(partitions))
        if self.failure:
            raise self.failure
        return dict.fromkeys(partitions, self.bounds)


async def test_a_partition_that_opens_between_two_rounds_is_asked_for_before_the_next() -> None:
    setup = Setup()
    setup.open()
    watching = asyncio.create_task(setup.watch.run())
    await wait_until(lambda: PLACE in setup.ends.by_partition, description="the first is told of")
    setup.open(OTHER)
    await wait_until(lambda: OTHER in setup.ends.by_partition, description="so is the other", timeout_s=2)
    watching.cancel()
    await asyncio.wait([watching])
    assert len(setup.asked) == 2


async def test_brokers_that_refuse_at_once_are_not_asked_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    setup, pauses = Setup(), []
    setup.open()
    setup.failure = NodeNotReadyError()

    async def pause(delay_s: float) -> None:
        pauses.append(delay_s)
        if len(pauses) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", pause)
    with pytest.raises(asyncio.CancelledError):
        await setup.watch.run()
    assert len(setup.asked) == 3
    assert min(pauses) > 0


async def test_markers_behind_the_last_record_are_committed_once() -> None:
    setup = Setup()
    lane = setup.open()
    running = asyncio.create_task(lane.committer.run())
    lane.progress.deliver(0)
    lane.submit(0, [])
    setup.positions[PLACE] = 2  # the record and a marker
    await wait_until(lambda: setup.store.progress == Progress(1), description="the record is committed")
    for _ in range(3):
        await setup.watch.look()
        await wait_until(lambda: setup.store.progress == Progress(2), description="so is the marker")
    lane.committer.close()
    await running
    assert len(setup.store.commits) == 2


async def test_a_position_is_not_committed_over_a_record_that_is_unfinished() -> None:
    setup = Setup()
    lane = setup.open()
    running = asyncio.create_task(lane.committer.run())
    lane.progress.deliver(3)
    setup.positions[PLACE] = 9
    await setup.watch.look()
    assert setup.store.commits == []
    lane.submit(3, [])
    await wait_until(lambda: setup.store.progress == Progress(9), description="all is finished")
    lane.committer.close()
    await running
    assert len(setup.store.commits) == 1


async def test_a_partition_that_is_taken_away_meanwhile_has_no_position() -> None:
    setup = Setup()
    lane = setup.open()
    await setup.watch.look()
    assert lane.progress.received == 0
