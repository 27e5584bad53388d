"""Publishes records with confirmation, for commands and the demo; the service itself publishes by its committer."""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import NamedTuple, Protocol
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    IllegalOperation,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
    UnknownError,
)
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from service.core.headers import COORDINATES, EVENT_ID
from service.core.records import OutgoingRecord
from service.kafka.broker_errors import unknown_unless_denied
from service.kafka.connection import KafkaConnection, describe, discard
from service.kafka.errors import (
    CommitUnknownError,
    OutcomesRefusedError,
    PublishError,
    PublishUnknownError,
    ShutOutError,
    TransactionsNeededError,
)
from service.settings.delivery import CommitSettings
from service.settings.kafka import KafkaSettings


class TopicDemands(Protocol):
    """The limits of topics for the records that are published to them."""

    def batch_bytes(self, topic: str) -> int | None:
        """Return the largest batch in bytes; None for the producer's own limit."""
        ...

    def needs_key(self, topic: str) -> bool:
        """Return whether a topic refuses records without a key, as compacted topics do."""
        ...

    async def learn_key(self, topic: str) -> None:
        """Record that a topic refused records without a key, without a reason from the brokers."""
        ...


STAND_IN_KEY_BYTES = 320
"""The name of a topic has 249 bytes at most, three numbers have 60."""

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)

CODECS = {"none": 0, "gzip": 1, "lz4": 3, "zstd": 4}
"""The protocol's numbers."""


class _Sent(NamedTuple):
    """A batch on its way."""

    topic: str
    batch: BatchBuilder
    records: Sequence[OutgoingRecord]
    acknowledgement: asyncio.Future[object]

    @property
    def has_keyless(self) -> bool:
        """Whether a record in it has no key."""
        return any(record.key is None for record in self.records)


def record_bytes(record: OutgoingRecord) -> int:
    """Return the largest bytes of a batch with this record alone, before compression."""
    size: int = DefaultRecordBatchBuilder.estimate_size_in_bytes(record.key, record.value, list(record.headers))
    return size


def compressed_bytes(record: OutgoingRecord, compression: str) -> int:
    """Return the bytes of a batch with this record alone as brokers measure it; costs a compression."""
    batch = BatchBuilder(0, CODECS[compression], is_transactional=1)
    _append(batch, record)
    return len(batch._build())


class _NoDemands:
    """No topic is known to demand anything."""

    def batch_bytes(self, topic: str) -> None:
        del topic

    def needs_key(self, topic: str) -> bool:
        del topic
        return False

    async def learn_key(self, topic: str) -> None:
        pass


_NO_DEMANDS = _NoDemands()


async def publish(
    producer: AIOKafkaProducer, records: Iterable[OutgoingRecord], *, demands: TopicDemands = _NO_DEMANDS
) -> None:
    """Publish records and return once every one is acknowledged; order holds within a partition.

    Raises `OutcomesRefusedError` with the records of a batch that is too large for its topic.
    """
    sent: list[_Sent] = []
    try:
        keyed = [with_key(each) if demands.needs_key(each.topic) else each for each in records]
        for (topic, partition), group in (await _placed(producer, keyed)).items():
            for batch, inside in _batches(producer, group, demands.batch_bytes(topic)):
                # A second batch for one partition waits here until the first is on its way.
                acknowledgement = await producer.send_batch(batch, topic, partition=partition)
                sent.append(_Sent(topic, batch, inside, acknowledgement))
        # A transaction commits although a record in it failed, so each one is awaited.
        await asyncio.gather(*(each.acknowledgement for each in sent))
    except _TOO_LARGE as error:
        raise _refusal(sent, error) from error
    except UnknownError as error:  # aiokafka's name for INVALID_RECORD, by which brokers refuse one without a key
        for topic in {each.topic for each in _failed(sent, error) if each.has_keyless}:
            await demands.learn_key(topic)
        raise
    finally:
        for each in sent:
            each.acknowledgement.cancel()  # where it still matters, the error is under way already


def _refusal(sent: Iterable[_Sent], error: Exception) -> OutcomesRefusedError:
    refused = _failed(sent, error)[0]
    return OutcomesRefusedError(
        refused.topic, refused.records, size_bytes=refused.batch.size(), detail=type(error).__name__
    )


def _failed(sent: Iterable[_Sent], error: Exception) -> list[_Sent]:
    return [each for each in sent if each.acknowledgement.done() and each.acknowledgement.exception() is error]


def with_key(record: OutgoingRecord) -> OutgoingRecord:
    """Return an outcome with a key: its own, or one that no other outcome has.

    That is the place of its upload, or the id of its CloudEvent; an uploader cannot choose the same one twice.
    """
    if record.key is not None:
        return record
    written = dict(record.headers)
    place = [written.get(name) for name in COORDINATES]
    parts = [part for part in place if part] if all(place) else [written.get(EVENT_ID) or uuid4().bytes]
    return replace(record, key=b"/".join(parts)[:STAND_IN_KEY_BYTES])


async def _placed(
    producer: AIOKafkaProducer, records: Iterable[OutgoingRecord]
) -> dict[tuple[str, int], list[OutgoingRecord]]:
    """Group records by partition: by key as every client does, those without a key together in a random one."""
    by_topic: dict[str, list[OutgoingRecord]] = defaultdict(list)
    for record in records:
        by_topic[record.topic].append(record)
    placed: dict[tuple[str, int], list[OutgoingRecord]] = defaultdict(list)
    for topic, group in by_topic.items():
        partitions = sorted(await producer.partitions_for(topic))
        keyless = random.choice(partitions)  # noqa: S311 - spreads load, guards nothing
        for record in group:
            placed[topic, keyless if record.key is None else _partition(record.key, partitions)].append(record)
    return placed


def _partition(key: bytes, partitions: list[int]) -> int:
    if len(partitions) == 1:
        return partitions[0]
    index: int = (murmur2(key) & 0x7FFFFFFF) % len(partitions)
    return partitions[index]


def _batches(
    producer: AIOKafkaProducer, records: Sequence[OutgoingRecord], max_bytes: int | None
) -> Iterator[tuple[BatchBuilder, Sequence[OutgoingRecord]]]:
    """Fill batches one after the other; a record too large for any fills one alone."""
    batch, first = producer.create_batch(), 0
    for n, record in enumerate(records):
        is_full = max_bytes is not None and n > first and batch.size() + record_bytes(record) > max_bytes
        if not is_full and _append(batch, record):
            continue
        batch.close()
        yield batch, records[first:n]
        batch, first = producer.create_batch(), n
        _append(batch, record)
    batch.close()
    yield batch, records[first:]


def _append(batch: BatchBuilder, record: OutgoingRecord) -> bool:
    added = batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers))
    return added is not None


class Publisher:
    """Publishes records in the given order, partition by partition; `open_publisher` makes it."""

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
    """Connect a publisher for the block; raises `KafkaUnreachableError` or `AccessDeniedError`."""
    connection = KafkaConnection(settings)
    async with connection.running(connection.producer()) as producer:
        yield Publisher(producer, timeout_s=settings.request_timeout_s)


# An open transaction of a process that vanished holds back readers of committed records of the topics in it, so it
# must not stay open much longer than a commit may take.
_GRACE_S = 5.0

# A transaction that failed is given up at once where the broker still listens.
_ABORT_TIMEOUT_S = 5.0


class ExclusivePublisher:
    """Publishes in transactions, alone with its transactional id; `open_exclusive_publisher` makes it."""

    def __init__(self, producer: AIOKafkaProducer, *, timeout_s: float) -> None:
        self._producer = producer
        self._timeout_s = timeout_s

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """Publish records in one transaction; raises `ShutOutError`, `PublishUnknownError` or `AccessDeniedError`."""
        try:
            with unknown_unless_denied("transactions"):
                async with asyncio.timeout(self._timeout_s):
                    await self._producer.begin_transaction()
                    await publish(self._producer, records)
                    await self._producer.commit_transaction()
        except CommitUnknownError as error:
            if _was_fenced(error):
                raise ShutOutError from error
            raise PublishUnknownError(records=len(records), detail=str(error)) from error


@asynccontextmanager
async def open_exclusive_publisher(
    connection: KafkaConnection, name: str, settings: CommitSettings
) -> AsyncIterator[ExclusivePublisher]:
    """Fence the process that has the name: when the block begins, its transaction is aborted and it can begin no other.

    Raises `TransactionsNeededError`, `KafkaUnreachableError` and `AccessDeniedError`.
    """
    producer = connection.transactional_producer(name, timeout_s=settings.timeout_s + _GRACE_S)
    try:
        await _start(connection, producer, timeout_s=settings.timeout_s)
        yield ExclusivePublisher(producer, timeout_s=settings.timeout_s)
    finally:
        await _abort(producer)
        await discard(producer)


async def _start(connection: KafkaConnection, producer: AIOKafkaProducer, *, timeout_s: float) -> None:
    try:
        with unknown_unless_denied("transactions"):
            async with asyncio.timeout(timeout_s):
                await producer.start()
    except CommitUnknownError as error:
        raise await connection.fault() or TransactionsNeededError(detail=str(error)) from error


async def _abort(producer: AIOKafkaProducer) -> None:
    """Give up a transaction that is open, if any."""
    with contextlib.suppress(AssertionError, IllegalOperation, KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(_ABORT_TIMEOUT_S):
            await producer.abort_transaction()


def _was_fenced(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ProducerFenced):
            return True
        error = error.__cause__
    return False
