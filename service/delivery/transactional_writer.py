"""Exactly once: outcomes and progress in one Kafka transaction, by one fencing producer a partition."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.structs import OffsetAndMetadata

from service.core.records import OutgoingRecord
from service.delivery.commit_target import CommitTarget
from service.delivery.offsets import Progress
from service.kafka.broker_errors import unknown_unless_denied
from service.kafka.connection import KafkaConnection, discard, stop_client
from service.kafka.errors import CommitUnknownError, PartitionLostError, TransactionsRefusedError
from service.kafka.publisher import publish
from service.settings.delivery import CommitSettings
from service.telemetry.instruments import PRODUCER_REBUILDS


class TransactionalWriter:
    """Writes one partition's outcomes in transactions. Opening it fences the process that wrote before."""

    def __init__(self, connection: KafkaConnection, target: CommitTarget) -> None:
        self._connection = connection
        self._target = target
        self._group_id = connection.settings.group_id
        self._producer: AIOKafkaProducer | None = None

    async def open(self) -> Progress | None:
        """Fence the previous owner, which ends its transaction; then return the progress that it stored."""
        partition = self._target.partition
        transactional_id = f"{self._group_id}.{partition.topic}.{partition.partition}"
        with unknown_unless_denied("transactions"):
            async with asyncio.timeout(self._target.settings.timeout_s):
                self._producer = self._connection.transactional_producer(
                    transactional_id, timeout_s=self._target.settings.transaction_timeout_s
                )
                await self._producer.start()
                return await self._target.stored.fetch(self._target.partition)

    async def commit(self, records: Sequence[OutgoingRecord], progress: Progress) -> None:
        """Commit one transaction."""
        if self._producer is None:
            raise CommitUnknownError("the producer was thrown away")
        offset = OffsetAndMetadata(progress.base, progress.encode())
        with unknown_unless_denied("transactions"):
            async with asyncio.timeout(self._target.settings.timeout_s):
                await self._producer.begin_transaction()
                # First, because aiokafka may commit ahead of offsets that follow records (its issue 1004).
                await self._producer.send_offsets_to_transaction({self._target.partition: offset}, self._group_id)
                await publish(self._producer, records, demands=self._target.limits)
                await self._producer.commit_transaction()

    async def settle(self, *, attempted: Progress, committed: Progress) -> bool:
        """Start a new producer, which ends the transaction of unknown fate, and compare the stored progress."""
        # Two owners that rebuild without asking would fence each other in turn.
        if not await self._target.is_member():
            raise PartitionLostError
        await self.close()
        PRODUCER_REBUILDS.add(1)
        return was_committed(await self.open(), attempted=attempted, committed=committed)

    async def close(self) -> None:
        """Close the producer."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await discard(producer)


def was_committed(stored: Progress | None, *, attempted: Progress, committed: Progress) -> bool:
    """Pure: derive a commit's fate from what is stored; raises `PartitionLostError` when another process wrote it."""
    if stored == attempted:
        return True
    if stored == committed:
        return False
    raise PartitionLostError


async def check_transactions(connection: KafkaConnection, settings: CommitSettings) -> None:
    """Start a transactional producer; raises `TransactionsRefusedError` if the brokers have no transactions."""
    producer = connection.transactional_producer(
        f"{connection.settings.group_id}.check", timeout_s=settings.transaction_timeout_s
    )
    try:
        with unknown_unless_denied("transactions"):
            async with asyncio.timeout(settings.timeout_s):
                await producer.start()
    except CommitUnknownError as error:
        raise TransactionsRefusedError(detail=str(error)) from error
    finally:
        await stop_client(producer)
