"""On Kafka: batches that are damaged on a broker's disk stop no other partition, and are reported."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiokafka import TopicPartition

from service.core.records import Partition
from service.delivery.processor import Processor
from service.delivery.skip import Skipper
from service.delivery.status import PartitionStatus
from service.events.raw_event import tenant_of
from testing.kafka import KafkaBroker
from testing.logs import publish_to
from testing.raw_batches import batch_of, send_raw
from testing.stream_worker import ObedientHandler
from testing.waiting import wait_until
from tests.integration.delivery.world import World

pytestmark = pytest.mark.docker

INDEX_INTERVAL_BYTES = 4096
"""A broker finds an offset by its index, which has an entry for every batch that is longer than this."""

LENGTH_AT, LAST_BYTE_AT = 8, -1
"""Where a batch of the log has its length and the last byte of its records."""


class Log:
    """The first partition of a world's uploads, on the broker's disk."""

    def __init__(self, world: World, kafka: KafkaBroker) -> None:
        self.world = world
        self.topic = world.settings.topics.uploads
        self._kafka = kafka
        self._ends = [0]

    async def send(self, batches: int, *, padding: int = 0) -> None:
        """Append batches of one record, `padding` bytes longer than need be."""
        for _ in range(batches):
            batch = bytes(batch_of(b"{}" + b" " * padding))
            await send_raw(self._kafka.bootstrap_servers, self.topic, 0, batch)
            self._ends.append(self._ends[-1] + len(batch))

    def damage(self, offset: int, position: int, data: bytes) -> None:
        """Write over bytes of a batch, at a position from its start or, below zero, from its end."""
        begin = self._ends[offset] if position >= 0 else self._ends[offset + 1]
        self._kafka.overwrite(self.topic, 0, begin + position, data)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Processor]:
        """Run a processor."""
        processor = Processor(self.world.settings, ObedientHandler(self.world.settings.topics.verdicts))
        running = asyncio.create_task(processor.run())
        try:
            yield processor
        finally:
            processor.drain()
            await running


@pytest.fixture
def log(world: World, kafka: KafkaBroker) -> Log:
    """The log of the first partition."""
    return Log(world, kafka)


def refused(processor: Processor) -> list[PartitionStatus]:
    """Return the partitions that the broker refuses."""
    stream = processor.status().stream
    return [each for each in stream.partitions if each.refusal] if stream else []


async def test_a_batch_with_a_wrong_checksum_costs_its_own_record_alone(log: Log) -> None:
    await log.send(5)
    log.damage(2, LAST_BYTE_AT, b"\x7f")
    async with log.read():
        await log.world.outcomes(5)
        await log.world.reader.linger()

    (dead_letter,) = log.world.reader.of(log.world.settings.topics.dead_letters)
    headers = dict(dead_letter.headers)
    assert (headers["modstream-reason"], headers["modstream-origin-offset"]) == (b"record.unreadable", b"2")
    assert len(log.world.reader.records) == 5


async def test_a_partition_that_the_broker_refuses_is_reported_and_stops_no_other(log: Log) -> None:
    await log.send(5)
    log.damage(2, LENGTH_AT, (5).to_bytes(4, "big"))
    async with log.read() as processor:
        await log.world.outcomes(2)
        await wait_until(lambda: bool(refused(processor)), description="the refusal is reported")
        await publish_to(log.world.settings.kafka.bootstrap_servers, TopicPartition(log.topic, 1), [(b"1", b"{}")])
        await log.world.outcomes(3)

        (status,) = refused(processor)
    assert status.refusal
    assert (status.partition.partition, status.refusal.error) == (0, "CorruptRecordException")
    assert status.lag == 3


async def test_a_record_that_the_broker_refuses_is_skipped_beside_the_service_which_goes_on(log: Log) -> None:
    await log.send(5, padding=INDEX_INTERVAL_BYTES)
    log.damage(2, LENGTH_AT, (5).to_bytes(4, "big"))
    async with log.read() as processor:
        await log.world.outcomes(2)
        await wait_until(lambda: bool(refused(processor)), description="the refusal is reported")
        skipper = Skipper(log.world.settings, tenant_of=tenant_of)
        found = await skipper.find(Partition(log.topic, 0), 2)
        await skipper.skip(found, by="operator", why="damaged", at=datetime.now(UTC))
        await log.world.outcomes(5)
        await log.world.reader.linger()
        await wait_until(lambda: not refused(processor), description="the refusal is over")

    (dead_letter,) = log.world.reader.of(log.world.settings.topics.dead_letters)
    assert dict(dead_letter.headers)["modstream-reason"] == b"record.skipped"
    assert len(log.world.reader.records) == 5
