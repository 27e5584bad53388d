"""Batches of outcomes, bounded by bytes; one that its topic refuses holds no other up."""

import pytest

from service.core.records import OutgoingRecord
from service.delivery.batch import LEAST_BYTES, BatchSize
from service.delivery.offsets import Progress
from service.kafka.errors import CommitRefusedError, PartitionLostError
from testing.committing import LATER_S, Finished, Partition, after_the_first_commit, outcome, partition_closes
from testing.waiting import wait_until


async def test_a_transaction_holds_no_more_bytes_than_the_setting() -> None:
    partition = Partition(LATER_S, max_bytes=100_000)
    run = await after_the_first_commit(partition)
    for offset in range(1, 8):
        partition.finish_large(offset, size_bytes=40_000)
    await wait_until(lambda: len(partition.committed) == 8, description="all are committed without the interval")
    assert [len(commit) for commit in partition.store.commits] == [1, 2, 2, 2, 1]
    await partition_closes(partition, run)


async def test_an_outcome_larger_than_a_transaction_may_be_goes_alone() -> None:
    partition = Partition(max_bytes=1000)
    for offset in range(3):
        partition.finish_large(offset, size_bytes=40_000)
    await partition.commit_all()
    assert [len(commit) for commit in partition.store.commits] == [1, 1, 1]


async def test_a_commit_that_times_out_is_tried_in_halves_and_later_ones_are_smaller() -> None:
    partition = Partition(max_bytes=600_000)
    partition.store.most_bytes_in_time = 150_000
    for offset in range(10):
        partition.finish_large(offset, size_bytes=50_000)
    await partition.commit_until(10)
    assert partition.committed == list(range(10))
    assert max(len(commit) for commit in partition.store.commits) == 2
    assert partition.writer.commits_begun - len(partition.store.commits) <= 4


async def test_bytes_that_wait_for_their_commit_hold_back_reading_until_they_are_committed() -> None:
    partition = Partition(max_waiting_bytes=400_000)
    partition.finish_large(0, size_bytes=60_000)
    assert partition.committer.has_room
    partition.submit(Finished(1, outcome(1), size_bytes=60_000))
    assert not partition.committer.has_room
    await partition.commit_all()
    assert partition.committer.has_room
    assert partition.backlog.held_bytes == 0


async def test_one_partition_takes_a_quarter_of_the_waiting_bytes_and_leaves_the_rest_to_others() -> None:
    stuck = Partition(max_waiting_bytes=400_000)
    stuck.finish_large(0, size_bytes=150_000)
    assert not stuck.committer.has_room
    assert stuck.backlog.has_room(0)


async def test_a_partition_that_is_lost_gives_its_waiting_bytes_back() -> None:
    partition = Partition(faults=["lost request"])
    partition.finish_large(0, size_bytes=10_000)
    with pytest.raises(PartitionLostError):
        await partition.commit_all()
    assert partition.backlog.held_bytes == 0


@pytest.mark.parametrize("is_limit_readable", [True, False])
async def test_an_outcome_that_its_topic_refuses_is_replaced_and_the_others_go_through_in_order(
    *, is_limit_readable: bool
) -> None:
    partition = Partition()
    partition.store.max_record_bytes = {"verdicts": 10_000}
    if is_limit_readable:
        partition.limits.reads_with(partition.store.report_limits)
    for offset in range(10):
        partition.finish_large(offset, size_bytes=20_000 if offset in {3, 6} else 100)
    await partition.commit_until(10)
    assert partition.replaced == [3, 6]
    keys = [int(record.key or b"") for record in partition.store.records]
    assert keys == list(range(10))
    assert [record.topic for record in partition.store.records if record.key in {b"3", b"6"}] == ["dead", "dead"]
    assert partition.store.progress == Progress(10)
    if is_limit_readable:
        assert len(partition.store.commits) == 1


async def test_small_outcomes_that_are_too_large_together_are_not_replaced() -> None:
    partition = Partition()
    partition.store.max_batch_bytes = {"verdicts": 15_000}
    for offset in range(10):
        partition.finish_large(offset, size_bytes=5_000)
    await partition.commit_until(10)
    assert partition.replaced == []
    assert partition.committed == list(range(10))


async def test_a_replacement_that_is_refused_as_well_is_replaced_again() -> None:
    partition = Partition()
    partition.store.max_record_bytes = {"verdicts": 10_000, "tags": 10_000}
    large = [OutgoingRecord(topic, b"0", b"x" * 20_000, ()) for topic in ("verdicts", "tags")]
    partition.submit(Finished(0, *large))
    await partition.commit_until(1)
    assert [record.topic for record in partition.store.records] == ["dead"]
    assert partition.committed == [0]


async def test_an_outage_is_waited_for_without_smaller_commits_and_without_end() -> None:
    partition = Partition()
    partition.store.most_bytes_in_time = 0
    partition.store.outages = ["verdicts/0 has 1 replicas in sync"] * 9
    for offset in range(3):
        partition.finish_large(offset, size_bytes=50_000)
    await partition.commit_until(3)
    assert [len(commit) for commit in partition.store.commits] == [3]


async def test_a_commit_that_takes_too_long_for_no_reason_to_be_seen_stops_the_service() -> None:
    partition = Partition()
    partition.store.most_bytes_in_time = 0
    partition.finish_large(0, size_bytes=50_000)
    with pytest.raises(CommitRefusedError, match="uploads/0"):
        await partition.committer.run()


def test_a_commit_slower_than_a_quarter_of_its_limit_is_followed_by_smaller_ones_until_they_are_quick() -> None:
    size = BatchSize(8_000_000, timeout_s=16.0)
    size.committed(8_000_000, took_s=8.0)
    assert size.max_bytes == 4_000_000
    for _ in range(20):
        size.committed(size.max_bytes, took_s=0.1)
    assert size.max_bytes == 8_000_000


def test_a_slow_commit_of_next_to_nothing_makes_none_smaller() -> None:
    size = BatchSize(8_000_000, timeout_s=16.0)
    assert not size.timed_out(LEAST_BYTES)
    assert size.max_bytes == 8_000_000


async def test_what_a_topic_refuses_is_replaced_for_that_topic_and_not_for_another() -> None:
    partition = Partition()
    partition.store.max_record_bytes = {"verdicts": 10_000, "tags": 10_000}
    partition.limits.reads_with(partition.store.report_limits)
    partition.finish_large(0, size_bytes=20_000, topic="tags")
    partition.finish_large(1, size_bytes=20_000, topic="verdicts")
    await partition.commit_until(2)
    assert {record.key: record.value for record in partition.store.records} == {b"0": b"tags", b"1": b"verdicts"}
