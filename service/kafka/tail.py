"""Follows topics from given offsets, outside any group: committed records, and how far every partition was read."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from service.core.records import Partition, SourceRecord
from service.kafka.broker_errors import denial
from service.kafka.connection import KafkaConnection, describe
from service.kafka.errors import ConsumerFailedError
from service.kafka.tolerant_consumer import TolerantConsumer
from service.kafka.topic_ids import topic_ids
from service.kafka.topics import check_topics, partitions_of
from service.settings.kafka import KafkaSettings


class LogMovedError(Exception):
    """A log no longer has the offset that was to be read next: retention, or a deletion, was faster."""


@dataclass(frozen=True, slots=True)
class TailBounds:
    """What the brokers have when a tail is opened."""

    beginnings: Mapping[Partition, int]
    """The oldest offset of each partition that is still there."""
    ends: Mapping[Partition, int]
    """The end of what is committed: the beginning of the first open transaction, else of what is published next."""
    topic_ids: Mapping[str, str]
    """None of them from brokers before Kafka 2.8."""


class Tail:
    """Reads every partition of some topics; `open_tail` makes it."""

    def __init__(self, consumer: TolerantConsumer, bounds: TailBounds) -> None:
        self._consumer = consumer
        self._places = [TopicPartition(*partition) for partition in bounds.ends]
        self.bounds = bounds
        self.positions: dict[Partition, int] = {}
        """The offset behind the last record that `read` returned; what transactions leave between records counts."""

    def seek(self, starts: Mapping[Partition, int]) -> None:
        """Go on at these offsets; a partition without one is read from the oldest record that is there."""
        for place in self._places:
            partition = Partition(*place)
            self.positions[partition] = starts.get(partition, self.bounds.beginnings[partition])
            self._consumer.seek(place, self.positions[partition])

    async def read(self, *, timeout_s: float, max_records: int) -> Sequence[SourceRecord]:
        """Return what has come, in order within a partition, after waiting so long for it at most.

        Raises `LogMovedError`, `AccessDeniedError` or `ConsumerFailedError`.
        """
        try:
            fetched = await self._consumer.getmany(timeout_ms=round(timeout_s * 1000), max_records=max_records)
            for place in self._places:
                self.positions[Partition(*place)] = await self._consumer.position(place)
        except (OffsetOutOfRangeError, NoOffsetForPartitionError) as error:
            raise LogMovedError(describe(error)) from error
        except KafkaError as error:
            raise denial("reading", error) or ConsumerFailedError(detail=describe(error)) from error
        return [record for records in fetched.values() for record in records]


@asynccontextmanager
async def open_tail(settings: KafkaSettings, topics: Mapping[str, str]) -> AsyncIterator[Tail]:
    """Assign every partition of topics, given by the setting that names each; call `seek` before `read`.

    Partitions that are added later are not read. Raises `KafkaUnreachableError`, `AccessDeniedError`,
    `TopicMissingError` or `ConsumerFailedError`.
    """
    connection = KafkaConnection(settings)
    await check_topics(connection, topics)
    places = [TopicPartition(*partition) for partition in await partitions_in(connection, topics)]
    async with connection.running(connection.reader((), without_offset="none")) as consumer:
        consumer.assign(places)
        yield Tail(consumer, await _bounds(consumer, places))


async def partitions_in(connection: KafkaConnection, topics: Mapping[str, str]) -> Sequence[Partition]:
    """Return every partition that topics have now."""
    counts = await partitions_of(connection)
    return [Partition(topic, number) for topic in topics.values() for number in range(counts.get(topic, 0))]


async def _bounds(consumer: TolerantConsumer, places: Sequence[TopicPartition]) -> TailBounds:
    try:
        beginnings = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
        ids = await topic_ids(consumer._client, {place.topic for place in places})
    except (KafkaError, OSError) as error:
        raise ConsumerFailedError(detail=describe(error)) from error
    return TailBounds(
        {Partition(*place): offset for place, offset in beginnings.items()},
        {Partition(*place): offset for place, offset in ends.items()},
        ids,
    )
