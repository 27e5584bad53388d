"""Partitions that come and go: when all is open, and how long nothing was."""

from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
from aiokafka import TopicPartition

from service.core.errors import FatalError
from service.core.records import Partition
from service.delivery.assignment import Assignment
from service.delivery.offsets import Progress
from service.delivery.resolution import FinishedRecord
from service.kafka.topic_limits import TopicLimits
from service.settings.delivery import CommitSettings
from service.telemetry.metrics import Metrics
from testing.committing import no_outage
from testing.metrics import counting, scraped
from testing.offset_guards import any_offset_fits
from testing.partition_store import PartitionStore, StoreWriter
from testing.waiting import wait_until

FIRST, SECOND = TopicPartition("images.uploaded", 0), TopicPartition("images.uploaded", 1)


class Seeker:
    """What an assignment needs of aiokafka's consumer."""

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Accept."""


class Unmoved:
    """Hears everything and does nothing."""

    def on_held(self, partitions: frozenset[Partition]) -> None:
        """Nothing is in flight."""

    def on_opened(self, partition: Partition, progress: Progress) -> None:
        """Nothing to adopt."""

    def on_committed(self, partition: Partition, records: Sequence[FinishedRecord]) -> None:
        """Nothing to forget."""

    def on_failed(self, error: FatalError) -> None:
        """No test lets it fail."""
        raise error


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    with counting() as counted:
        yield counted


@pytest.fixture
async def assignment(metrics: Metrics) -> AsyncIterator[Assignment]:
    del metrics
    made = Assignment(
        Seeker(),
        CommitSettings(),
        Unmoved(),
        guard=any_offset_fits(),
        make_writer=lambda _: StoreWriter(PartitionStore()),
        limits=TopicLimits(1_000_000, compression="none"),
        find_outage=no_outage,
        release_timeout_s=5.0,
    )
    yield made
    await made.release()


async def all_open(assignment: Assignment) -> None:
    await wait_until(lambda: assignment.is_complete, description="all partitions are open")


def rebalances_and_pauses(metrics: Metrics) -> tuple[float, float]:
    scrape = scraped(metrics)
    return scrape.value("modstream_rebalances_total"), scrape.value("modstream_rebalance_pause_seconds_count")


async def test_a_share_is_complete_once_all_of_it_is_open(assignment: Assignment) -> None:
    assert not assignment.is_complete
    await assignment.on_partitions_assigned({FIRST, SECOND})
    assert not assignment.is_complete
    await all_open(assignment)
    assert len(assignment.open_partitions) == 2


async def test_a_share_of_nothing_is_complete_at_once(assignment: Assignment) -> None:
    await assignment.on_partitions_assigned(set())
    assert assignment.is_complete


async def test_a_rebalance_is_counted_with_its_pause(assignment: Assignment, metrics: Metrics) -> None:
    await assignment.on_partitions_revoked(set())
    await assignment.on_partitions_assigned({FIRST, SECOND})
    await all_open(assignment)
    assert rebalances_and_pauses(metrics) == (1, 0)
    await assignment.on_partitions_revoked({FIRST, SECOND})
    assert not assignment.is_complete
    await assignment.on_partitions_assigned({SECOND})
    await all_open(assignment)
    assert rebalances_and_pauses(metrics) == (2, 1)


async def test_time_without_any_partition_is_no_pause(assignment: Assignment, metrics: Metrics) -> None:
    for share in ({FIRST}, set[TopicPartition](), {FIRST}):
        await assignment.on_partitions_revoked(set())
        await assignment.on_partitions_assigned(share)
        await all_open(assignment)
    assert rebalances_and_pauses(metrics)[1] == 0
