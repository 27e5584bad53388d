"""Publishes records for many callers at the same time, and goes on after a producer that failed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from service.core.records import OutgoingRecord
from service.kafka.broker_errors import denial
from service.kafka.connection import KafkaConnection, describe, discard
from service.kafka.errors import PublishError
from service.kafka.publisher import publish

_HARMLESS = (MessageSizeTooLargeError, KafkaTimeoutError)
"""Errors after which a producer goes on."""


class SteadyPublisher:
    """Publishes records by one producer, which it makes when it is needed and again after it failed.

    The producer holds one batch of each partition; callers wait behind it.
    """

    def __init__(self, connection: KafkaConnection, *, is_idempotent: bool, timeout_s: float) -> None:
        """Without idempotence, which not every broker has, a record may be published twice after a lost answer."""
        self._connection = connection
        self._is_idempotent = is_idempotent
        self._timeout_s = timeout_s
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def publish(self, record: OutgoingRecord) -> None:
        """Return once all in-sync replicas have the record.

        Raises `PublishError`, after which it may be published all the same, `AccessDeniedError`, or
        `KafkaUnreachableError`.
        """
        async with self._attempt(record.topic) as producer:
            acknowledged = await producer.send(record.topic, record.value, record.key, headers=list(record.headers))
            await acknowledged

    async def publish_all(self, records: Sequence[OutgoingRecord]) -> None:
        """Return once all in-sync replicas have the records, which are sent in few batches.

        Raises as `publish` does, after which some may be published, or `OutcomesRefusedError`.
        """
        async with self._attempt(", ".join(sorted({record.topic for record in records}))) as producer:
            await publish(producer, records)

    @asynccontextmanager
    async def _attempt(self, topics: str) -> AsyncIterator[AIOKafkaProducer]:
        """Yield the producer, within the time limit; give it up after an error that it does not survive."""
        producer = None
        try:
            async with asyncio.timeout(self._timeout_s):
                producer = await self._running()
                yield producer
        except (KafkaError, OSError, TimeoutError) as error:
            if producer is not None and isinstance(error, KafkaError) and not isinstance(error, _HARMLESS):
                await self._give_up(producer)
            raise denial("publishing", error) or PublishError(topic=topics, detail=describe(error)) from error

    async def close(self) -> None:
        """End the producer; what is not acknowledged yet may be lost."""
        if self._producer is not None:
            await self._give_up(self._producer)

    async def _running(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = self._connection.producer(is_idempotent=self._is_idempotent)
                await self._connection.start(producer)
                self._producer = producer
            return self._producer

    async def _give_up(self, producer: AIOKafkaProducer) -> None:
        if self._producer is producer:
            self._producer = None
            await discard(producer)
