"""One record finished by hand: its dead letter, a notice for its tenant and its place in the progress.

The transaction is the one that the service itself would make, under the same id. So a service that runs is shut out for
a moment, reads the new progress and goes on behind it; and if it is quicker, the skip begins anew from there. On
brokers without transactions nothing shuts a service out, so there none may run.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from aiokafka import TopicPartition

from service.core.errors import FatalError, RejectedError
from service.core.records import OutgoingRecord, Partition, SourceRecord, Unreadable
from service.delivery.commit_target import CommitTarget
from service.delivery.dead_letter import build_dead_letter, cut
from service.delivery.group_state import StoredOffsets
from service.delivery.handler import TenantOf, names_no_tenant
from service.delivery.notices import notice, notice_topics
from service.delivery.offsets import MAX_SPAN, Progress
from service.delivery.origin import fresh, origin_of
from service.delivery.required_topics import output_topics
from service.delivery.retry import retry_tiers
from service.delivery.skip_commit import commit_as_one, commit_in_turn
from service.delivery.transactional_writer import TransactionalWriter
from service.kafka.broker_errors import unknown_unless_denied
from service.kafka.connection import KafkaConnection
from service.kafka.errors import (
    CommitUnknownError,
    ConsumerFailedError,
    RecordUnreadableError,
    TopicMissingError,
)
from service.kafka.reader import open_snapshot
from service.kafka.topic_configs import check_limits
from service.kafka.topic_limits import TopicLimits
from service.kafka.topics import partitions_of
from service.settings.settings import Settings


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
    """A record that exists and is not finished."""

    record: SourceRecord
    """As far as it can be read; without a value where the brokers do not give it out."""
    oldest: int
    """The oldest offset that the partition still has."""

    @property
    def place(self) -> str:
        """The record's topic, partition and offset."""
        return f"{self.record.topic}/{self.record.partition}/{self.record.offset}"


class Skipper:
    """Skips records of one consumer group."""

    def __init__(self, settings: Settings, *, tenant_of: TenantOf = names_no_tenant) -> None:
        self._settings = settings
        self._tenant_of = tenant_of
        self._connection = KafkaConnection(settings.kafka)

    async def find(self, partition: Partition, offset: int) -> Skippable:
        """Return a record that can be skipped, without fencing another process.

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
        """Commit the dead letter and the progress.

        Raises `NotSkippableError`, `CommitRefusedError`, or `GroupAtWorkError` without transactions.
        """
        unreadable = found.record.unreadable
        why = f"{why} (the record cannot be read: {unreadable.detail})" if unreadable else why
        outcomes = self._outcomes(found.record, RecordSkippedError(by=by, why=why), at)
        kafka = self._settings.kafka
        limits = TopicLimits(kafka.max_request_bytes, compression=kafka.compression)
        await check_limits(self._connection, output_topics(self._settings), limits)
        plan = partial(_finished, found=found)
        partition = TopicPartition(found.record.topic, found.record.partition)
        async with self._connection.running(self._connection.admin()) as admin:
            if self._settings.delivery == "at_least_once":
                fitting = _cut_to(limits, outcomes)
                await commit_in_turn(self._connection, admin, fitting, plan, partition=partition, place=found.place)
                return
            stored = StoredOffsets(admin, kafka.group_id)
            target = CommitTarget(partition, stored, self._settings.commit, limits, is_member=_never)
            writer = TransactionalWriter(self._connection, target)
            try:
                await commit_as_one(writer, outcomes, plan, place=found.place, limits=limits)
            finally:
                await writer.close()

    async def _check(self, partition: Partition, place: str) -> None:
        topics = [self._settings.topics.uploads, *(tier.topic for tier in retry_tiers(self._settings))]
        if partition.topic not in topics:
            raise NotSkippableError(place=place, detail=f"the service reads {', '.join(topics)}")
        partitions = (await partitions_of(self._connection)).get(partition.topic, 0)
        if not partitions:
            raise TopicMissingError(topic=partition.topic, setting="topics.uploads")
        if partition.partition >= partitions:
            raise NotSkippableError(place=place, detail=f"the topic has {partitions} partitions")

    async def _read(self, partition: Partition, offset: int, place: str) -> Skippable:
        topic, number = partition
        async with open_snapshot(
            self._connection, topic, setting="topics.uploads", partitions={number}, offsets=range(offset, offset + 1)
        ) as snapshot:
            oldest = snapshot.beginnings[number]
            if offset < oldest:
                raise NotSkippableError(place=place, detail=f"the brokers have deleted all offsets before {oldest}")
            if not snapshot.total:
                raise NotSkippableError(
                    place=place, detail="the partition ends before it, or a transaction before it is still open"
                )
            try:
                records = [record async for batch in snapshot.batches() for record in batch]
            except ConsumerFailedError as error:
                if snapshot.refusal is None:
                    raise  # slow brokers give the record out another time
                unreadable = Unreadable(RecordUnreadableError, str(error), offset, raw="record")
                records = [SourceRecord(topic, number, offset, -1, None, None, (), unreadable=unreadable)]
        if not records:
            raise NotSkippableError(
                place=place,
                detail="this offset has no record: it is a transaction's marker, or was aborted or compacted",
            )
        return Skippable(records[0], oldest)

    def _outcomes(self, record: SourceRecord, error: RejectedError, at: datetime) -> list[OutgoingRecord]:
        """Return the dead letter, and the notice where the record's tenant has a topic for them."""
        uploads = self._settings.topics.uploads
        origin = fresh(record) if record.topic == uploads else origin_of(record, uploads=uploads)
        dead_letter = build_dead_letter(
            record,
            origin,
            error,
            attempt=origin.attempts,
            topic=self._settings.topics.dead_letters,
            group_id=self._settings.kafka.group_id,
            failed_at=at,
        )
        is_event = record.unreadable is None and len(record.value or b"") <= self._settings.kafka.max_event_bytes
        topic = notice_topics(self._settings).get(self._tenant_of(record) or "") if is_event else None
        return [dead_letter] if topic is None else [dead_letter, notice(dead_letter, topic)]

    @asynccontextmanager
    async def _stored(self) -> AsyncIterator[StoredOffsets]:
        async with self._connection.running(self._connection.admin()) as admin:
            yield StoredOffsets(admin, self._settings.kafka.group_id)


def _cut_to(limits: TopicLimits, outcomes: Sequence[OutgoingRecord]) -> Sequence[OutgoingRecord]:
    """Return outcomes with the dead letter cut to what its topic accepts."""
    dead_letter, *others = outcomes
    if limits.accepts(dead_letter):
        return outcomes
    return [cut(dead_letter, max_bytes=limits.cut_bytes(dead_letter.topic)), *others]


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
