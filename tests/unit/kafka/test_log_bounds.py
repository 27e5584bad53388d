"""How far logs go, as far as brokers report."""

from collections.abc import Collection
from types import SimpleNamespace

import pytest
from aiokafka.errors import NodeNotReadyError

from service.core.records import Partition
from service.kafka.log_bounds import LogBounds, LogEnds

PLACE = Partition("images.uploaded", 0)


class Brokers:
    """Reports bounds, or does not answer."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.asked: list[list[Partition]] = []
        self.bounds = LogBounds(0, 7, 7)

    async def read(self, partitions: Collection[Partition]) -> dict[Partition, LogBounds]:
        self.asked.append(list(partitions))
        if self.failure:
            raise self.failure
        return dict.fromkeys(partitions, self.bounds)


@pytest.mark.parametrize("failure", [NodeNotReadyError(), OSError("unreachable"), TimeoutError()])
async def test_brokers_that_do_not_answer_leave_what_was_reported_before(failure: Exception) -> None:
    brokers, clock = Brokers(), SimpleNamespace(now_s=1.0)
    ends = LogEnds(brokers.read, without_any=PLACE, clock=lambda: clock.now_s)
    assert await ends.ask([PLACE])
    brokers.failure, clock.now_s = failure, 2.0
    assert not await ends.ask([PLACE])
    assert (ends.by_partition, ends.answered_at_s) == ({PLACE: LogBounds(0, 7, 7)}, 1.0)
    brokers.failure = None
    await ends.ask([PLACE])
    assert ends.answered_at_s == 2.0


async def test_a_process_without_partitions_asks_all_the_same_whether_brokers_are_there() -> None:
    brokers = Brokers()
    ends = LogEnds(brokers.read, without_any=PLACE, clock=lambda: 1.0)
    await ends.ask([])
    assert brokers.asked == [[PLACE]]
    assert ends.answered_at_s == 1.0


async def test_a_transaction_has_been_open_since_the_stable_end_stood_still() -> None:
    brokers, clock = Brokers(), SimpleNamespace(now_s=0.0)
    ends = LogEnds(brokers.read, without_any=PLACE, clock=lambda: clock.now_s)
    since_s = []
    for stable_end, end in [(7, 7), (7, 9), (7, 12), (9, 12), (9, 13), (13, 13)]:
        brokers.bounds, clock.now_s = LogBounds(0, stable_end, end), clock.now_s + 1
        await ends.ask([PLACE])
        since_s.append(ends.by_partition[PLACE].unstable_since_s)
    assert since_s == [None, 2.0, 2.0, 4.0, 4.0, None]
