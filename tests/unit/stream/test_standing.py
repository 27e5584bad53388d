"""Lag, as it is and as committed offsets make it look."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import NodeNotReadyError

from service.stream.log_ends import LogEnds
from service.stream.offsets import PartitionProgress, Progress
from service.stream.records import Partition
from service.stream.standing import standing_of
from tests.support.waiting import wait_until

PLACE = Partition("images.uploaded", 0)


def progress(*, base: int, delivered: range, finished: tuple[int, ...]) -> PartitionProgress:
    made = PartitionProgress(Progress(base))
    for offset in delivered:
        made.deliver(offset)
    made.apply(made.plan(finished), finished)
    return made


def test_what_is_finished_out_of_order_is_no_lag() -> None:
    standing = standing_of(PLACE, progress(base=100, delivered=range(100, 110), finished=(101, 102, 103)), end=120)
    assert (standing.lag, standing.committed_lag, standing.backlog) == (17, 20, 10)


def test_what_is_in_flight_is_lag_until_it_is_committed() -> None:
    standing = standing_of(PLACE, progress(base=100, delivered=range(100, 110), finished=()), end=110)
    assert (standing.lag, standing.committed_lag, standing.backlog) == (10, 10, 0)


def test_what_came_after_the_end_was_told_makes_no_lag_negative() -> None:
    standing = standing_of(
        PLACE, progress(base=100, delivered=range(100, 110), finished=tuple(range(100, 110))), end=105
    )
    assert (standing.lag, standing.committed_lag, standing.backlog) == (0, 0, 0)


class Brokers:
    """Tells ends, or does not answer."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.asked: list[list[TopicPartition]] = []

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked.append(partitions)
        if self.failure:
            raise self.failure
        return dict.fromkeys(partitions, 7)


@pytest.mark.parametrize("failure", [NodeNotReadyError(), OSError("unreachable"), TimeoutError()])
async def test_brokers_that_do_not_answer_leave_what_was_told_before(failure: Exception) -> None:
    brokers, clock = Brokers(), SimpleNamespace(now_s=1.0)
    ends = LogEnds(brokers, without_any=PLACE, clock=lambda: clock.now_s)
    await ends.ask([PLACE])
    brokers.failure, clock.now_s = failure, 2.0
    await ends.ask([PLACE])
    assert (ends.by_partition, ends.told_at_s) == ({PLACE: 7}, 1.0)
    brokers.failure = None
    await ends.ask([PLACE])
    assert ends.told_at_s == 2.0


async def test_a_process_without_partitions_asks_all_the_same_whether_brokers_are_there() -> None:
    brokers = Brokers()
    ends = LogEnds(brokers, without_any=PLACE, clock=lambda: 1.0)
    await ends.ask([])
    assert brokers.asked == [[TopicPartition(*PLACE)]]
    assert ends.told_at_s == 1.0


async def test_a_partition_that_opens_between_two_rounds_is_asked_for_before_the_next() -> None:
    brokers, open_now = Brokers(), [PLACE]
    ends = LogEnds(brokers, without_any=PLACE)
    watching = asyncio.create_task(ends.watch(lambda: open_now))
    await wait_until(lambda: ends.by_partition == {PLACE: 7}, description="the first is told of")
    other = Partition(PLACE.topic, 1)
    open_now.append(other)
    await wait_until(lambda: other in ends.by_partition, description="so is the other", timeout_s=2)
    watching.cancel()
    await asyncio.wait([watching])
    assert len(brokers.asked) == 2


async def test_brokers_that_refuse_at_once_are_not_asked_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    brokers, pauses = Brokers(), []
    brokers.failure = NodeNotReadyError()

    async def pause(delay_s: float) -> None:
        pauses.append(delay_s)
        if len(pauses) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", pause)
    with pytest.raises(asyncio.CancelledError):
        await LogEnds(brokers, without_any=PLACE).watch(lambda: [PLACE])
    assert len(brokers.asked) == 3
    assert min(pauses) > 0
