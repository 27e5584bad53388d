"""Batches of outcomes, committed exactly once whatever happens to a commit."""

import asyncio

import pytest

from service.delivery.offsets import Progress
from service.kafka.errors import CommitRefusedError, PartitionLostError
from testing.committing import (
    HASTY_S,
    LATER_S,
    Finished,
    Partition,
    after_the_first_commit,
    outcome,
    partition_closes,
)
from testing.metrics import counting, scraped
from testing.partition_store import Fault
from testing.waiting import wait_until


async def test_an_outcome_is_committed_without_waiting_for_older_records() -> None:
    partition = Partition()
    partition.finish(3)
    await partition.commit_all()
    assert partition.store.records == [outcome(3)]
    assert partition.store.progress == Progress(0, 0b1000)
    assert partition.committed == [3]


async def test_the_first_outcome_after_a_quiet_time_is_committed_at_once() -> None:
    partition = Partition(LATER_S)
    run = await after_the_first_commit(partition)
    partition.finish(1)
    await partition_closes(partition, run)


async def test_outcomes_that_come_during_the_interval_share_a_commit() -> None:
    partition = Partition(LATER_S)
    run = await after_the_first_commit(partition)
    partition.finish(1, 2, 3)
    await asyncio.sleep(0)
    assert partition.committed == [0]
    await partition_closes(partition, run)
    assert partition.store.commits == [[outcome(0)], [outcome(1), outcome(2), outcome(3)]]


async def test_outcomes_wait_for_no_others_when_nothing_else_is_under_way() -> None:
    partition = Partition(HASTY_S)
    run = await after_the_first_commit(partition)
    started_s = asyncio.get_running_loop().time()
    partition.finish(*range(1, 10))
    await wait_until(lambda: len(partition.committed) == 10, description="all that was delivered is committed")
    assert asyncio.get_running_loop().time() - started_s < HASTY_S
    await partition_closes(partition, run)


async def test_outcomes_wait_for_what_is_still_under_way() -> None:
    partition = Partition(HASTY_S)
    run = await after_the_first_commit(partition)
    started_s = asyncio.get_running_loop().time()
    partition.finish(*range(1, 9))
    await wait_until(lambda: len(partition.committed) == 9, description="the interval is over")
    assert asyncio.get_running_loop().time() - started_s > 0.9 * HASTY_S
    await partition_closes(partition, run)


async def test_a_full_batch_does_not_wait_for_the_interval() -> None:
    partition = Partition(LATER_S, max_outcomes=3)
    run = await after_the_first_commit(partition)
    partition.finish(1, 2, 3)
    await wait_until(lambda: partition.committed == [0, 1, 2, 3], description="the full batch is committed")
    await partition_closes(partition, run)


async def test_the_next_batch_gathers_while_one_commits() -> None:
    partition = Partition()
    partition.writer.may_commit.clear()
    run = asyncio.create_task(partition.committer.run())
    partition.finish(0)
    await wait_until(lambda: partition.writer.commits_begun == 1, description="a commit is under way")
    partition.finish(1, 2)
    partition.writer.may_commit.set()
    await wait_until(lambda: len(partition.committed) == 3, description="all are committed")
    await partition_closes(partition, run)
    assert [len(commit) for commit in partition.store.commits] == [1, 2]


async def test_a_partition_is_read_no_further_while_four_batches_wait() -> None:
    partition = Partition(max_outcomes=2)
    partition.finish(*range(7))
    assert partition.committer.has_room
    partition.finish(7)
    assert not partition.committer.has_room
    await partition.commit_all()
    assert partition.committer.has_room


async def test_a_record_without_outcomes_is_committed_as_well() -> None:
    partition = Partition()
    partition.submit(Finished(0))
    await partition.commit_all()
    assert partition.store.progress == Progress(1)


async def test_what_comes_after_closing_is_left_to_the_next_owner() -> None:
    partition = Partition()
    partition.committer.close()
    partition.finish(0)
    await partition.committer.run()
    assert partition.store.records == []


@pytest.mark.parametrize(
    "faults",
    [
        ["lost request"],
        ["lost answer"],
        ["lost request", "lost request", "lost answer"],
        ["lost answer", "unreachable"],
        ["lost request", "unreachable", "unreachable", "lost request"],
    ],
)
async def test_every_outcome_is_committed_once_whatever_gets_lost(faults: list[Fault]) -> None:
    partition = Partition(faults=faults)
    with counting() as metrics:
        run = asyncio.create_task(partition.committer.run())
        partition.finish(1, 0)
        await wait_until(lambda: partition.committed == [1, 0], description="the batch is committed")
        partition.finish(2)
        await partition_closes(partition, run)
        commits = scraped(metrics).by("result", "modstream_commit_duration_seconds_count")
    losses = [fault for fault in faults if fault != "unreachable"]
    assert commits["failed"] == len(losses)
    assert partition.store.records == [outcome(1), outcome(0), outcome(2)]
    assert partition.store.progress == Progress(3)


async def test_a_partition_with_another_owners_commit_is_given_up() -> None:
    partition = Partition(faults=["lost request"])
    partition.store.progress = Progress(7)
    partition.finish(0)
    with pytest.raises(PartitionLostError):
        await partition.committer.run()
    assert partition.store.records == []
    assert partition.committed == []


async def test_a_process_outside_the_group_gives_its_partition_up_without_fencing_the_new_owner() -> None:
    partition = Partition(faults=["lost request", "evicted"])
    partition.finish(0)
    with pytest.raises(PartitionLostError):
        await partition.committer.run()
    assert not partition.writer.is_open


async def test_a_batch_that_is_refused_again_and_again_stops_the_service() -> None:
    partition = Partition(faults=["lost request"] * 5)
    partition.finish(0)
    with pytest.raises(CommitRefusedError, match="uploads/0"):
        await partition.committer.run()
    assert partition.committed == []


async def test_a_failed_commit_while_closing_is_left_to_the_next_owner() -> None:
    partition = Partition(faults=["lost request"])
    partition.finish(0)
    with pytest.raises(PartitionLostError):
        await partition.commit_all()
    assert partition.store.records == []
