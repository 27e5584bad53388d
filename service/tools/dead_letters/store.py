"""Access to the dead letters and their journal: the interface for commands, and its implementation on Kafka."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from service.core.errors import FatalError
from service.core.records import OutgoingRecord, SourceRecord
from service.kafka.connection import KafkaConnection
from service.kafka.publisher import ExclusivePublisher, open_exclusive_publisher
from service.kafka.reader import open_snapshot
from service.kafka.topics import JOURNAL_SETTING, check_topics, is_compacted, journal_topic, partitions_of
from service.settings.settings import Settings
from service.tools.dead_letters.filters import DeadLetterFilter
from service.tools.dead_letters.journal import Marks


class JournalNotCompactedError(FatalError):
    """The journal of the dead letters is a topic that deletes records."""

    reason = "dead_letters.journal_not_compacted"
    message = (
        "topic {topic} has a cleanup.policy other than compact, so it would forget which dead letters were sent back: "
        "kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config cleanup.policy=compact"
    )


class Snapshot(Protocol):
    """The records that exist now."""

    @property
    def beginnings(self) -> Mapping[int, int]:
        """The oldest offset of each selected partition."""
        ...

    @property
    def total(self) -> int:
        """The number of offsets to read."""
        ...

    @property
    def passed(self) -> int:
        """The number of offsets that have been read."""
        ...

    def batches(self) -> AsyncIterator[Sequence[SourceRecord]]:
        """Yield the records, in order within a partition."""
        ...


class JournalWriter(Protocol):
    """The exclusive right to send back and discard dead letters, which one process has at a time."""

    @property
    def marks(self) -> Marks:
        """The journal's entries at the time of `take_over`."""
        ...

    async def commit(self, records: Sequence[OutgoingRecord]) -> None:
        """Publish all of these records, or none of them."""
        ...


class DeadLetterStore(Protocol):
    """The dead letters of one service."""

    def read(self, wanted: DeadLetterFilter) -> AbstractAsyncContextManager[Snapshot]:
        """Read the dead letters that a filter selects by place; more than those that match may be read."""
        ...

    async def marks(self) -> Marks:
        """Return the journal's entries."""
        ...

    def take_over(self) -> AbstractAsyncContextManager[JournalWriter]:
        """Fence any other process that works on dead letters, and yield the writer."""
        ...


class KafkaDeadLetterStore:
    """The dead letters and their journal on the brokers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection = KafkaConnection(settings.kafka)
        self._journal = journal_topic(settings.topics)

    @asynccontextmanager
    async def read(self, wanted: DeadLetterFilter) -> AsyncIterator[Snapshot]:
        """Read the dead letters from their topic."""
        topic, setting = self._settings.topics.dead_letters, "topics.dead_letters"
        async with open_snapshot(
            self._connection, topic, setting=setting, partitions=wanted.partitions, offsets=wanted.offsets
        ) as snapshot:
            yield snapshot

    async def marks(self) -> Marks:
        """Read the journal; a missing journal has no entries."""
        if self._journal not in await partitions_of(self._connection):
            return Marks()
        return await self._read_journal(awaits_transactions=False)

    @asynccontextmanager
    async def take_over(self) -> AsyncIterator[JournalWriter]:
        """Start the producer with the journal's transactional id, and then read the journal to its end."""
        # The name follows from the topic, not from the group: groups may share a topic of dead letters.
        async with open_exclusive_publisher(self._connection, self._journal, self._settings.commit) as publisher:
            await self._check_topics()
            yield _KafkaJournalWriter(publisher, await self._read_journal(awaits_transactions=True))

    async def _check_topics(self) -> None:
        topics = {"topics.uploads": self._settings.topics.uploads, JOURNAL_SETTING: self._journal}
        await check_topics(self._connection, topics)
        if not await is_compacted(self._connection, self._journal):
            raise JournalNotCompactedError(topic=self._journal)

    async def _read_journal(self, *, awaits_transactions: bool) -> Marks:
        async with open_snapshot(
            self._connection, self._journal, setting=JOURNAL_SETTING, awaits_transactions=awaits_transactions
        ) as snapshot:
            return Marks([record async for batch in snapshot.batches() for record in batch])


class _KafkaJournalWriter:
    """One process's turn."""

    def __init__(self, publisher: ExclusivePublisher, marks: Marks) -> None:
        self._publisher = publisher
        self.marks = marks

    async def commit(self, records: Sequence[OutgoingRecord]) -> None:
        """Publish in one transaction."""
        await self._publisher.publish(records)
