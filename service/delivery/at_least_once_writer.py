"""Writes to brokers without transactions: outcomes first, then progress; a crash in between repeats outcomes."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import OffsetAndMetadata

from service.core.records import OutgoingRecord
from service.delivery.commit_target import CommitTarget
from service.delivery.offsets import Progress
from service.kafka.broker_errors import unknown_unless_denied
from service.kafka.errors import PartitionLostError
from service.kafka.publisher import publish


class AtLeastOnceWriter:
    """Writes one partition's outcomes through a producer that all partitions share."""

    def __init__(self, producer: AIOKafkaProducer, consumer: AIOKafkaConsumer, target: CommitTarget) -> None:
        self._producer = producer
        self._consumer = consumer
        self._target = target
        self._published: Progress | None = None

    async def open(self) -> Progress | None:
        """Return the stored progress. Brokers without transactions cannot fence an earlier owner."""
        with unknown_unless_denied("offsets"):
            async with asyncio.timeout(self._target.settings.timeout_s):
                return await self._target.stored.fetch(self._target.partition)

    async def commit(self, records: Sequence[OutgoingRecord], progress: Progress) -> None:
        """Publish the outcomes, wait for every acknowledgement, then store the progress.

        A repeated call publishes only what is not acknowledged.
        """
        with unknown_unless_denied("offsets"):
            async with asyncio.timeout(self._target.settings.timeout_s):
                if self._published != progress:
                    await publish(self._producer, records, demands=self._target.limits)
                    self._published = progress
                offset = OffsetAndMetadata(progress.base, progress.encode())
                await self._consumer.commit({self._target.partition: offset})

    async def settle(self, *, attempted: Progress, committed: Progress) -> bool:
        """Return False while the partition is assigned: the commit is repeated, and outcomes may be published twice."""
        if not await self._target.is_member():
            raise PartitionLostError
        return False

    async def close(self) -> None:
        """Do nothing: the other partitions use the same producer."""
