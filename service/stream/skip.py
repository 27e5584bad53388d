"""One record finished by hand: its dead letter and its place in the progress, in one transaction.

The transaction is the one that the service itself would make, under the same id. So a service that runs is shut out for
a moment, reads the new progress and goes on behind it; and if it is quicker, the skip begins anew from there.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from aiokafka import TopicPartition

from service.errors import FatalError, RejectedError
from service.settings import Settings
from service.stream.answers import unknown_unless_denied
from service.stream.connection import KafkaConnection
from service.stream.dead_letter import cut, dead_letter
from service.stream.errors import (
    CommitRefusedError,
    CommitUnknownError,
    ConsumerFailedError,
    OutcomesRefusedError,
    RecordUnreadableError,
)
from service.stream.offsets import MAX_SPAN, Progress
from service.stream.origin import fresh, put_off
from service.stream.records import OutgoingRecord, Partition, SourceRecord, Unreadable
from service.stream.retry_topics import retry_tiers
from service.stream.snapshot import open_snapshot
from service.stream.stored_offsets import StoredOffsets
from service.stream.topic_configs import check_limits
from service.stream.topic_limits import TopicLimits
from service.stream.topics import partitions_of
from service.stream.transactional_writer import TransactionalWriter

_MAX_ATTEMPTS = 5
"""A service that commits at the same moment shuts the skip out; five times in a row it is something else."""


class NotSkippableError(FatalError):
    """A record cannot be skipped, or need not be."""

    reason = "skip.refused"
    message = "{place} cannot be skipped: {detail}"


class RecordSkippedError(RejectedError):
    """An operator gave up a record by hand."""

    reason = "record.skipped"
    message = "Skipped by {by}: {why}"


@dataclass(frozen=True, slots=True)
class Skippable:
    """A record that is there and not finished."""

    record: SourceRecord
    """As far as it can be read; without a value where the brokers do not give it out."""
    oldest: int
    """The oldest offset that the partition still has."""

    @property
    def place(self) -> str:
        """Where it lies."""
        return f"{self.record.topic}/{self.record.partition}/{self.record.offset}"


class Skipper:
    """Skips records of one service."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection = KafkaConnection(settings.kafka)

    async def find(self, partition: Partition, offset: int) -> Skippable:
        """Return a record that can be skipped; shuts nobody out.

        Raises `NotSkippableError`, and what the stream raises without brokers.
        """
        place = f"{partition.topic}/{partition.partition}/{offset}"
        await self._check(partition, place)
        found = await self._read(partition, offset, place)
        async with self._stored() as stored:
            try:
                with unknown_unless_denied("offsets"):
                    progress = await stored.fetch(TopicPartition(*partition)) or Progress(0)
            except CommitUnknownError as error:
                raise ConsumerFailedError(detail=str(error)) from error
        _finished(progress, found)
        return found

    async def skip(self, found: Skippable, *, by: str, why: str, at: datetime) -> None:
        """Commit the dead letter and the progress; raises `NotSkippableError` or `CommitRefusedError`."""
        unreadable = found.record.unreadable
        why = f"{why} (the record cannot be read: {unreadable.detail})" if unreadable else why
        letter = self._letter(found.record, RecordSkippedError(by=by, why=why), at)
        kafka = self._settings.kafka
        limits = TopicLimits(kafka.max_request_bytes, compression=kafka.compression)
        await check_limits(self._connection, self._settings, limits)
        async with self._stored() as stored:
            writer = TransactionalWriter(
                self._connection,
                TopicPartition(found.record.topic, found.record.partition),
                stored,
                self._settings.commit,
                limits=limits,
                is_member=_never,
            )
            try:
                await _commit(writer, letter, found, limits)
            finally:
                await writer.close()

    async def _check(self, partition: Partition, place: str) -> None:
        topics = [self._settings.topics.uploads, *(tier.topic for tier in retry_tiers(self._settings))]
        if partition.topic not in topics:
            raise NotSkippableError(place=place, detail=f"the service reads {', '.join(topics)}")
        if self._settings.delivery != "exactly_once":
            raise NotSkippableError(
                place=place, detail="without transactions (delivery: at_least_once) nothing guards a running service"
            )
        partitions = (await partitions_of(self._connection)).get(partition.topic, 0)
        if partition.partition >= partitions:
            raise NotSkippableError(place=place, detail=f"the topic has {partitions} partitions")

    async def _read(self, partition: Partition, offset: int, place: str) -> Skippable:
        topic, number = partition
        async with open_snapshot(
            self._connection, topic, setting="topics.uploads", partitions={number}, offsets=range(offset, offset + 1)
        ) as snapshot:
            oldest = snapshot.beginnings[number]
            if offset < oldest:
                raise NotSkippableError(place=place, detail=f"the brokers have deleted all before {oldest}")
            if not snapshot.total:
                raise NotSkippableError(
                    place=place, detail="the partition ends before it, or a transaction before it is still open"
                )
            try:
                records = [record async for batch in snapshot.batches() for record in batch]
            except ConsumerFailedError as error:
                unreadable = Unreadable(RecordUnreadableError, str(error), offset, raw="record")
                records = [SourceRecord(topic, number, offset, -1, None, None, (), unreadable=unreadable)]
        if not records:
            raise NotSkippableError(
                place=place, detail="no record is there: a marker or a record of a transaction, or compacted away"
            )
        return Skippable(records[0], oldest)

    def _letter(self, record: SourceRecord, error: RejectedError, at: datetime) -> OutgoingRecord:
        uploads = self._settings.topics.uploads
        origin = fresh(record) if record.topic == uploads else put_off(record, uploads=uploads)
        return dead_letter(
            record,
            origin,
            error,
            attempt=origin.attempts,
            topic=self._settings.topics.dead_letters,
            group_id=self._settings.kafka.group_id,
            failed_at=at,
        )

    @asynccontextmanager
    async def _stored(self) -> AsyncIterator[StoredOffsets]:
        async with self._connection.running(self._connection.admin()) as admin:
            yield StoredOffsets(admin, self._settings.kafka.group_id)


async def _commit(writer: TransactionalWriter, letter: OutgoingRecord, found: Skippable, limits: TopicLimits) -> None:
    attempted: Progress | None = None
    for _ in range(_MAX_ATTEMPTS):
        try:
            stored = await writer.open() or Progress(0)
            if stored == attempted:
                return  # the commit whose answer did not come
            attempted = _finished(stored, found)
            if not limits.accepts(letter):
                letter = cut(letter, max_bytes=limits.cut_bytes(letter.topic))
            await writer.commit([letter], attempted)
        except CommitUnknownError as error:
            failure = error
            await writer.close()
            if isinstance(error, OutcomesRefusedError):
                await limits.learn(letter.topic, refused_bytes=error.size_bytes, records=1)
        else:
            return
    raise CommitRefusedError(partition=found.place, attempts=_MAX_ATTEMPTS, detail=str(failure)) from failure


def _finished(stored: Progress, found: Skippable) -> Progress:
    """Return the progress with the record finished; raises `NotSkippableError` where it is, or cannot be written."""
    progress, record = stored.raised(found.oldest), found.record
    if progress.is_finished(record.offset):
        raise NotSkippableError(place=found.place, detail="it is finished")
    if record.last_offset - progress.base >= MAX_SPAN and record.offset != progress.base:
        detail = f"the group is at {progress.base}, and progress is kept for {MAX_SPAN} offsets from there"
        raise NotSkippableError(place=found.place, detail=detail)
    return progress.finishing(record.offset, record.last_offset)


async def _never() -> bool:
    """A skip belongs to no group, and settles nothing."""
    return False
