"""Topics as a stranger's client sees them: plain aiokafka, nothing of the service's own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

Headers = Sequence[tuple[str, bytes]]


async def create_topics(bootstrap_servers: str, names: Sequence[str], *, partitions: int) -> None:
    """Create topics on one broker."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1) for name in names])
    finally:
        await admin.close()


async def publish(
    bootstrap_servers: str, topic: str, records: Sequence[tuple[bytes | None, bytes | None, Headers]]
) -> None:
    """Publish records of key, value and headers, and wait until each is stored."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers)
    await producer.start()
    try:
        sent = [await producer.send(topic, value, key, headers=list(headers)) for key, value, headers in records]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


class CommittedReader:
    """Collects what a `read_committed` consumer sees of some topics, from their beginnings."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.records: list[ConsumerRecord] = []

    def of(self, topic: str) -> list[ConsumerRecord]:
        """Return what was seen of one topic so far."""
        return [record for record in self.records if record.topic == topic]

    async def until(self, count: int, *, timeout_s: float = 60.0) -> None:
        """Read until so many records were seen in all."""
        async with asyncio.timeout(timeout_s):
            while len(self.records) < count:
                await self._poll(timeout_s=1.0)

    async def linger(self, *, quiet_s: float = 2.0) -> None:
        """Read on until nothing comes any more: what comes twice would come now."""
        while await self._poll(timeout_s=quiet_s):
            pass

    async def _poll(self, *, timeout_s: float) -> int:
        fetched = await self._consumer.getmany(timeout_ms=round(timeout_s * 1000))
        new = [record for records in fetched.values() for record in records]
        self.records += new
        return len(new)


@asynccontextmanager
async def committed_reader(bootstrap_servers: str, topics: Sequence[str]) -> AsyncIterator[CommittedReader]:
    """Read topics from their beginnings, committed records only."""
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap_servers,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        yield CommittedReader(consumer)
    finally:
        await consumer.stop()
