"""Creates the topics and publishes the records: some as a backlog, the others at a pace beside the nemesis."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from testing.chaos.workload import encode

CHUNKS_PER_SECOND = 20
# Outlasts any bounce: a batch that the producer gives up may have been written, and to send it again would feed a
# record twice.
REQUEST_TIMEOUT_MS = 120_000
STOP_TIMEOUT_S = 3.0


async def create_topics(address: str, topics: Sequence[str], partitions: int, *, replicas: int) -> None:
    """Create topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, replicas) for topic in topics])
    finally:
        await admin.close()


class Feeder:
    """An idempotent producer of numbered records."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partitions: int) -> None:
        self._producer = producer
        self._topic = topic
        self._partitions = partitions

    async def feed(self, numbers: range, *, per_second: int) -> None:
        """Publish the records at a pace; after a broker's absence what is late comes at once."""
        start = time.monotonic()
        size = max(1, per_second // CHUNKS_PER_SECOND)
        for first in range(0, len(numbers), size):
            await self.feed_at_once(numbers[first : first + size])
            await asyncio.sleep(max(0.0, start + (first + size) / per_second - time.monotonic()))

    async def feed_at_once(self, numbers: range) -> None:
        """Publish the records and wait until all are written."""
        await asyncio.gather(*[await self._send(number) for number in numbers])

    async def _send(self, number: int) -> asyncio.Future[object]:
        value = encode(number)
        written: asyncio.Future[object] = await self._producer.send(
            self._topic, value, key=value[:8], partition=number % self._partitions
        )
        return written


@asynccontextmanager
async def running_producer(address: str) -> AsyncIterator[AIOKafkaProducer]:
    """Provide a producer that retries for long and never writes a record twice."""
    producer = AIOKafkaProducer(
        bootstrap_servers=address, enable_idempotence=True, linger_ms=5, request_timeout_ms=REQUEST_TIMEOUT_MS
    )
    async with stopped_soon(producer):
        yield producer


@asynccontextmanager
async def stopped_soon(client: AIOKafkaProducer | AIOKafkaConsumer) -> AsyncIterator[None]:
    """Start a client; stop it at the end, even if its broker is away for good because the run was interrupted."""
    await client.start()
    try:
        yield
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await client.stop()
