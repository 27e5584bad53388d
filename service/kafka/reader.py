"""Reads topics from outside the group, committed records alone, for commands and the demo."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Literal, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.core.records import SourceRecord
from service.kafka.broker_errors import denial
from service.kafka.connection import KafkaConnection, describe
from service.kafka.errors import ConsumerFailedError, TopicMissingError
from service.kafka.fetch_refusals import Refusal
from service.kafka.tolerant_consumer import TolerantConsumer
from service.kafka.topics import check_topics, partitions_of
from service.settings.kafka import KafkaSettings

Answer = TypeVar("Answer")


class Reader:
    """Reads new records of topics; `open_reader` makes it."""

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


_POLL_TIMEOUT_S = 0.5


class KafkaSnapshot:
    """Reads partitions once, up to their present end; `open_snapshot` makes it."""

    def __init__(
        self,
        consumer: TolerantConsumer,
        stretches: Mapping[TopicPartition, range],
        beginnings: Mapping[int, int],
        *,
        patience_s: float,
    ) -> None:
        self._consumer = consumer
        self._stretches = stretches
        self._positions = {place: stretch.start for place, stretch in stretches.items()}
        self._patience_s = patience_s
        self.beginnings = beginnings
        """The oldest offset of each partition that is still there."""

    @property
    def refusal(self) -> Refusal | None:
        """The error with which brokers refuse to let one of the partitions be read; None without one."""
        found = (self._consumer.refusals.of(place) for place in self._stretches)
        return next((refusal for refusal in found if refusal is not None), None)

    @property
    def total(self) -> int:
        """The number of offsets to read. Gaps count, so there may be fewer records."""
        return sum(len(stretch) for stretch in self._stretches.values())

    @property
    def passed(self) -> int:
        """The number of offsets that have been read."""
        return sum(
            min(self._positions[place], stretch.stop) - stretch.start for place, stretch in self._stretches.items()
        )

    async def batches(self) -> AsyncIterator[Sequence[SourceRecord]]:
        """Yield the records, in order within a partition; raises `ConsumerFailedError`."""
        while unread := [place for place, stretch in self._stretches.items() if self._positions[place] < stretch.stop]:
            for place, records in (await self._poll(unread)).items():
                wanted = [record for record in records if record.offset in self._stretches[place]]
                if wanted:
                    yield wanted

    async def _poll(self, unread: Sequence[TopicPartition]) -> dict[TopicPartition, list[SourceRecord]]:
        """Read on in some partition, be it over offsets that hold no record."""
        try:
            async with asyncio.timeout(self._patience_s):
                while True:
                    before = dict(self._positions)
                    fetched: dict[TopicPartition, list[SourceRecord]] = await self._consumer.getmany(
                        *unread, timeout_ms=round(_POLL_TIMEOUT_S * 1000)
                    )
                    for place in unread:
                        self._positions[place] = await self._consumer.position(place)
                    if fetched or self._positions != before:
                        return fetched
        except KafkaError as error:
            raise ConsumerFailedError(detail=describe(error)) from error
        except TimeoutError:
            answer = f" (the brokers answer {self.refusal.error})" if self.refusal else ""
            detail = f"nothing came for {self._patience_s:g} s although there is more{answer}"
            raise ConsumerFailedError(detail=detail) from None


@asynccontextmanager
async def open_snapshot(
    connection: KafkaConnection,
    topic: str,
    *,
    setting: str,
    partitions: Collection[int] = (),
    offsets: range | None = None,
    since: datetime | None = None,
    awaits_transactions: bool = False,
) -> AsyncIterator[KafkaSnapshot]:
    """Read a topic, or some partitions and offsets of it; what transactions are still open is left out or awaited.

    With `since`, a partition is read from its first record with that timestamp or a later one.

    Raises `KafkaUnreachableError`, `AccessDeniedError`, `TopicMissingError` or `ConsumerFailedError`.
    """
    existing = (await partitions_of(connection)).get(topic)
    if existing is None:
        raise TopicMissingError(topic=topic, setting=setting)
    wanted = [number for number in range(existing) if not partitions or number in partitions]
    if not wanted:  # ask about some partition all the same: aiokafka cannot stop a consumer that did nothing
        wanted, offsets = [0], range(0)
    places = [TopicPartition(topic, number) for number in wanted]
    async with connection.running(connection.reader(())) as consumer:
        consumer.assign(places)
        beginnings: dict[TopicPartition, int] = await _asked(consumer.beginning_offsets(places))
        starts = beginnings if since is None else await _first_since(consumer, places, since)
        ends = await _ends(connection, consumer, places, awaits_transactions=awaits_transactions)
        stretches = {place: _clip(range(starts.get(place, ends[place]), ends[place]), offsets) for place in places}
        for place, stretch in stretches.items():
            consumer.seek(place, stretch.start)
        oldest = {place.partition: offset for place, offset in beginnings.items()}
        yield KafkaSnapshot(consumer, stretches, oldest, patience_s=connection.settings.request_timeout_s)


async def _first_since(
    consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], since: datetime
) -> dict[TopicPartition, int]:
    """Return the first offset at or after a moment; a partition without one is missing."""
    found = await _asked(consumer.offsets_for_times(dict.fromkeys(places, max(0, round(since.timestamp() * 1000)))))
    return {place: first.offset for place, first in found.items() if first is not None}


async def _ends(
    connection: KafkaConnection,
    consumer: AIOKafkaConsumer,
    places: Sequence[TopicPartition],
    *,
    awaits_transactions: bool,
) -> dict[TopicPartition, int]:
    """Return where to stop: for a reader of committed records that is the beginning of the first open transaction."""
    if not awaits_transactions:
        return await _asked(consumer.end_offsets(places))
    async with connection.running(connection.onlooker()) as onlooker:
        return await _asked(onlooker.end_offsets(places))


async def _asked(answer: Awaitable[dict[TopicPartition, Answer]]) -> dict[TopicPartition, Answer]:
    try:
        return await answer
    except KafkaError as error:
        raise ConsumerFailedError(detail=describe(error)) from error


def _clip(stretch: range, offsets: range | None) -> range:
    """Return the part of a stretch that is wanted, where it would begin if that is nothing."""
    if offsets is None:
        return stretch
    start = min(max(stretch.start, offsets.start), stretch.stop)
    return range(start, max(start, min(stretch.stop, offsets.stop)))
