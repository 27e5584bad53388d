"""Logs are followed while partitions are open."""

import asyncio
from collections.abc import Callable, Collection
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException, IllegalStateError, NodeNotReadyError
from structlog.testing import capture_logs
from structlog.typing import EventDict

from service.core.errors import FatalError
from service.core.records import Partition
from service.delivery.log_watch import LogWatch
from service.delivery.offsets import PartitionProgress, Progress
from service.delivery.partition import AssignedPartition
from service.kafka.errors import OffsetsLostError, PartitionLostError, ProgressUnreadableError
from service.kafka.fetch_refusals import FetchRefusals
from service.kafka.log_bounds import LogBounds, LogEnds
from testing.committing import Finished, a_committer
from testing.offset_guards import Logs, any_offset_fits
from testing.partition_store import PartitionStore, StoreWriter
from testing.waiting import wait_until

PLACE, OTHER = Partition("images.uploaded", 0), Partition("images.uploaded", 1)


class Setup:
    """A watch over open_partitions, brokers and positions of the test's choice."""

    def __init__(self) -> None:
        self.open_partitions: dict[Partition, AssignedPartition] = {}
        self.asked: list[list[Partition]] = []
        self.failure: Exception | None = None
        self.bounds = LogBounds(0, 7, 7)
        self.positions: dict[Partition, int] = {}
        self.store = PartitionStore()
        self.unread: Exception | None = None
        """Why stored progress cannot be read."""
        self.stored: Progress | None = None
        """What another process has stored; None for what the assigned process has."""
        self.on_read: Callable[[], object] = lambda: None
        self.sought: dict[Partition, int] = {}
        self.failures: list[FatalError] = []
        self.ends = LogEnds(self._read, without_any=PLACE)
        self.assignment = SimpleNamespace(
            open_partitions=self.open_partitions, unreadable={}, guard=any_offset_fits(), fail=self.failures.append
        )
        self.now_s = 0.0
        self.refusals = FetchRefusals(clock=lambda: self.now_s)
        self.watch = LogWatch(
            self,
            self.assignment,  # type: ignore[arg-type]  # what a watch reads of an assignment
            ends=self.ends,
            refusals=self.refusals,
            stored=self,  # type: ignore[arg-type]  # what a watch reads of stored offsets
        )

    def open(self, partition: Partition = PLACE, *, base: int = 0, topic_id: str | None = None) -> AssignedPartition:
        progress, writer = PartitionProgress(Progress(base, topic_id=topic_id)), StoreWriter(self.store)
        writer.is_open = True
        committer = a_committer(writer, progress)
        self.open_partitions[partition] = AssignedPartition(partition, progress, committer)
        return self.open_partitions[partition]

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.sought[Partition(*partition)] = self.positions[Partition(*partition)] = offset

    async def position(self, partition: TopicPartition) -> int:
        if Partition(*partition) not in self.positions:
            raise IllegalStateError("not assigned")
        return self.positions[Partition(*partition)]

    async def fetch_all(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Progress | None]:
        if failure := self.failure or self.unread:
            raise failure
        return dict.fromkeys(partitions, self.stored or self.store.progress)

    async def _read(self, partitions: Collection[Partition]) -> dict[Partition, LogBounds]:
        self.asked.append(list(partitions))
        self.on_read()
        if self.failure:
            raise self.failure
        return dict.fromkeys(partitions, self.bounds)


async def test_a_partition_that_opens_between_two_rounds_is_asked_for_before_the_next() -> None:
    setup = Setup()
    setup.open()
    watching = asyncio.create_task(setup.watch.run())
    await wait_until(lambda: PLACE in setup.ends.by_partition, description="the first is reported")
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
    assigned = setup.open()
    running = asyncio.create_task(assigned.committer.run())
    assigned.progress.deliver(0)
    assigned.committer.submit(Finished(0))
    setup.positions[PLACE] = 2  # the record and a marker
    await wait_until(lambda: setup.store.progress == Progress(1), description="the record is committed")
    for _ in range(3):
        await setup.watch.look()
        await wait_until(lambda: setup.store.progress == Progress(2), description="so is the marker")
    assigned.committer.close()
    await running
    assert len(setup.store.commits) == 2


async def test_a_position_is_not_committed_over_a_record_that_is_unfinished() -> None:
    setup = Setup()
    assigned = setup.open()
    running = asyncio.create_task(assigned.committer.run())
    assigned.progress.deliver(3)
    setup.positions[PLACE] = 9
    await setup.watch.look()
    assert setup.store.commits == []
    assigned.committer.submit(Finished(3))
    await wait_until(lambda: setup.store.progress == Progress(9), description="all is finished")
    assigned.committer.close()
    await running
    assert len(setup.store.commits) == 1


async def test_a_partition_that_is_taken_away_meanwhile_has_no_position() -> None:
    setup = Setup()
    assigned = setup.open()
    await setup.watch.look()
    assert assigned.progress.received == 0


@pytest.mark.parametrize(
    ("bounds", "topic_id"),
    [(LogBounds(0, 4, 4), None), (LogBounds(0, 9, 9, "newer"), "older")],
    ids=["the log ends below what was read", "the topic has another id"],
)
async def test_a_log_that_became_another_one_is_opened_anew(bounds: LogBounds, topic_id: str | None) -> None:
    setup = Setup()
    assigned = setup.open(base=5, topic_id=topic_id)
    setup.bounds = bounds
    await setup.watch.look()
    with pytest.raises(PartitionLostError):
        await assigned.committer.run()


async def test_a_log_that_grows_or_is_reported_late_stays_the_same() -> None:
    setup = Setup()
    assigned = setup.open(base=5)
    setup.bounds = LogBounds(5, 5, 5)
    setup.on_read = lambda: assigned.progress.deliver(8)
    await setup.watch.look()
    assigned.committer.close()
    await assigned.committer.run()


async def test_deleted_records_are_passed_while_what_is_in_flight_goes_on() -> None:
    setup = Setup()
    setup.assignment.guard = Logs(setup.bounds).guard("earliest")
    assigned = setup.open()
    running = asyncio.create_task(assigned.committer.run())
    assigned.progress.deliver(0)
    setup.bounds, setup.assignment.unreadable[PLACE] = LogBounds(4, 9, 9), 1
    await setup.watch.look()
    assert setup.sought == {PLACE: 4}
    assert setup.assignment.guard.lost == 1
    assigned.committer.submit(Finished(0))
    await wait_until(lambda: setup.store.progress == Progress(4), description="all below the start is finished")
    assigned.committer.close()
    await running


async def test_deleted_records_stop_the_service_unless_the_setting_says_to_go_on() -> None:
    setup = Setup()
    setup.open()
    setup.bounds, setup.assignment.unreadable[PLACE] = LogBounds(4, 9, 9), 1
    await setup.watch.run()
    (error,) = setup.failures
    assert isinstance(error, OffsetsLostError)
    assert "at most 3 records" in str(error)


async def test_an_offset_that_was_refused_and_exists_by_now_is_read() -> None:
    setup = Setup()
    assigned = setup.open(base=5)
    setup.assignment.unreadable[PLACE] = 5
    await setup.watch.look()
    assert setup.assignment.unreadable == {}
    assigned.committer.close()
    await assigned.committer.run()


async def test_a_partition_that_brokers_refuse_is_named_in_the_log_with_the_way_out_once_a_minute() -> None:
    setup = Setup()
    setup.open()
    setup.positions[PLACE] = 5
    corrupt = SimpleNamespace(topics=[(PLACE.topic, [(PLACE.partition, CorruptRecordException.errno, 7, b"")])])
    lines: list[EventDict] = []
    with capture_logs() as captured:
        for _ in range(9):
            setup.refusals.note(corrupt)
            await setup.watch.look()
            setup.now_s += 10
        lines += [line for line in captured if line["event"] == "partition.refused"]
    assert [line["refused_s"] for line in lines] == [20, 80]
    assert lines[0]["log_level"] == "error"
    assert (lines[0]["offset"], lines[0]["error"]) == (5, "CorruptRecordException")
    assert "modstream dead-letters skip images.uploaded/0/5" in lines[0]["action"]


async def test_a_short_refusal_is_not_logged() -> None:
    setup = Setup()
    setup.open()
    setup.positions[PLACE] = 5
    setup.refusals.note(SimpleNamespace(topics=[(PLACE.topic, [(PLACE.partition, 2, 7, b"")])]))
    with capture_logs() as captured:
        await setup.watch.look()
    assert not [line for line in captured if line["event"] == "partition.refused"]


@pytest.mark.parametrize("delivered", [[], [5], [5, 6]])
async def test_a_partition_whose_next_record_another_process_has_finished_is_opened_anew(delivered: list[int]) -> None:
    setup = Setup()
    assigned = setup.open(base=5)
    for offset in delivered:
        assigned.progress.deliver(offset)
    setup.positions[PLACE] = 5 + len(delivered)
    running = asyncio.create_task(assigned.committer.run())
    setup.stored = Progress(6) if delivered != [5, 6] else Progress(5, 0b10)
    await setup.watch.look()
    assert not running.done()
    await setup.watch.look()
    with pytest.raises(PartitionLostError):
        await running


async def test_progress_that_this_process_is_committing_is_not_anothers() -> None:
    setup = Setup()
    setup.bounds = LogBounds(0, 9, 9)
    assigned = setup.open(base=5)
    for offset in range(5, 9):
        assigned.progress.deliver(offset)
        setup.stored = Progress(offset + 1)  # the answer to the commit is on its way
        await setup.watch.look()
        assigned.progress.apply(assigned.progress.plan([offset]), [offset])
    await setup.watch.look()
    assigned.committer.close()
    await assigned.committer.run()


async def test_progress_of_a_later_version_is_left_to_the_next_owner_of_the_partition() -> None:
    setup = Setup()
    assigned = setup.open(base=5)
    setup.unread = ProgressUnreadableError(offset=7, metadata="ms9:")
    for _ in range(2):
        await setup.watch.look()
    assert setup.failures == []
    assigned.committer.close()
    await assigned.committer.run()
