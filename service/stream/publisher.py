"""Publishes records with confirmation, for commands and the demo; the service itself publishes by its committer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from service.kafka_settings import KafkaSettings
from service.stream.connection import KafkaConnection, describe
from service.stream.errors import OutcomesRefusedError, PublishError
from service.stream.publishing import publish
from service.stream.records import OutgoingRecord


class Publisher:
    """Publishes in the order given, partition by partition; made by `open_publisher`."""

    def __init__(self, producer: AIOKafkaProducer, *, timeout_s: float) -> None:
        self._producer = producer
        self._timeout_s = timeout_s

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """Return once every record is acknowledged; raises `PublishError`, after which some may be published."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await publish(self._producer, records)
        except (KafkaError, OutcomesRefusedError, OSError, TimeoutError) as error:
            topics = ", ".join(sorted({record.topic for record in records}))
            raise PublishError(topic=topics, detail=describe(error)) from error


@asynccontextmanager
async def open_publisher(settings: KafkaSettings) -> AsyncIterator[Publisher]:
    """Connect; raises `KafkaUnreachableError` or `AccessDeniedError`."""
    connection = KafkaConnection(settings)
    async with connection.running(connection.producer()) as producer:
        yield Publisher(producer, timeout_s=settings.request_timeout_s)
