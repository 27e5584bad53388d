"""A consumer as our users should write it, `isolation.level=read_committed`, that reads along during the whole run."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from testing.chaos.feeder import stopped_soon
from testing.chaos.outcome_counts import OutcomeCounts
from testing.chaos.workload import decode

POLL_MS = 200


class Reader:
    """Counts every committed record of some topics, each offset once."""

    def __init__(self, address: str, topics: Sequence[str], partitions: int, counts: OutcomeCounts) -> None:
        self._address = address
        self._places = [TopicPartition(topic, number) for topic in topics for number in range(partitions)]
        self._counts = counts
        self._consumer: AIOKafkaConsumer | None = None
        self._next = dict.fromkeys(self._places, 0)

    async def run(self) -> None:
        """Read until cancelled; broker bounces are waited out."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._address, isolation_level="read_committed", auto_offset_reset="none"
        )
        async with stopped_soon(consumer):
            consumer.assign(self._places)
            for place in self._places:
                consumer.seek(place, 0)
            self._consumer = consumer
            while True:
                await self._read(consumer)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        try:
            batches = await consumer.getmany(timeout_ms=POLL_MS)
        except KafkaError:  # the broker is away; the consumer reconnects by itself and keeps its positions
            await asyncio.sleep(POLL_MS / 1000)
            return
        for place, records in batches.items():
            for record in records:
                self._count(place, record.offset, record.value)

    def _count(self, place: TopicPartition, offset: int, value: bytes | None) -> None:
        if offset < self._next[place]:
            raise AssertionError(f"the reader was given {place} at {offset} again")
        self._next[place] = offset + 1
        self._counts.count(place.topic, decode(value))

    async def reaches(self, ends: dict[TopicPartition, int]) -> bool:
        """Say whether everything below these offsets was read: nothing is pending in an open transaction."""
        consumer = self._consumer
        if consumer is None:
            return False
        positions = [(await consumer.position(place), ends[place]) for place in self._places]
        return all(position >= end for position, end in positions)


async def end_offsets(address: str, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """Return the ends of the partitions, what is not yet committed included."""
    async with AIOKafkaConsumer(bootstrap_servers=address) as consumer:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
    return ends
