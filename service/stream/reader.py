"""Reads topics from outside the group, committed records alone, for commands and the demo."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Literal

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from service.kafka_settings import KafkaSettings
from service.stream.answers import denial
from service.stream.connection import KafkaConnection, describe
from service.stream.errors import ConsumerFailedError
from service.stream.records import SourceRecord
from service.stream.topics import check_topics


class Reader:
    """Follows topics; made by `open_reader`."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def read(self, *, timeout_s: float) -> list[SourceRecord]:
        """Return what has come, in order within a partition, after waiting so long for it at most.

        Raises `ConsumerFailedError`.
        """
        try:
            fetched = await self._consumer.getmany(timeout_ms=round(timeout_s * 1000))
        except KafkaError as error:
            raise denial("reading", error) or ConsumerFailedError(detail=describe(error)) from error
        return [record for records in fetched.values() for record in records]


@asynccontextmanager
async def open_reader(
    settings: KafkaSettings, topics: Mapping[str, str], *, start: Literal["beginning", "end"]
) -> AsyncIterator[Reader]:
    """Read topics, given by the setting that names each; what is published from now on is never missed.

    Raises `KafkaUnreachableError`, `AccessDeniedError` or `TopicMissingError`.
    """
    connection = KafkaConnection(settings)
    await check_topics(connection, topics)
    async with connection.running(connection.reader(list(topics.values()))) as consumer:
        await (consumer.seek_to_beginning() if start == "beginning" else consumer.seek_to_end())
        yield Reader(consumer)
