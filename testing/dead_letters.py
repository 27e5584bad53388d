"""Dead letters for tests, and a store in memory that behaves as the one on Kafka does."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import orjson

from service.core.errors import ModstreamError
from service.core.records import Headers, OutgoingRecord, SourceRecord
from service.delivery.dead_letter import build_dead_letter, cut
from service.delivery.origin import fresh
from service.kafka.errors import PublishUnknownError, ShutOutError
from service.media.errors import ImageNotFoundError
from service.tools.dead_letters.filters import DeadLetterFilter
from service.tools.dead_letters.journal import Marks
from service.tools.dead_letters.store import JournalWriter, Snapshot

UPLOADS = "images.uploaded"
DEAD = "images.uploaded.dead"
JOURNAL = "images.uploaded.dead.done"
FAILED_AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def a_dead_letter(
    offset: int = 17,
    *,
    partition: int = 3,
    value: object = None,
    error: ModstreamError | None = None,
    headers: Headers = (),
    key: bytes = b"42",
    failed_at: datetime = FAILED_AT,
    max_bytes: int = 1_000_000,
    origin_offset: int = 1200,
) -> SourceRecord:
    """Return a dead letter of the service as it is read from its topic."""
    event = {"image_id": "42", "image": {"url": "https://cdn.example.com/42.jpg"}} if value is None else value
    encoded = event if isinstance(event, bytes) else orjson.dumps(event)
    upload = SourceRecord(UPLOADS, 1, origin_offset, 1_700_000_000_000, key, encoded, headers)
    dead_letter = build_dead_letter(
        upload,
        fresh(upload),
        error or ImageNotFoundError(detail="cdn.example.com answered 404"),
        attempt=1,
        topic=DEAD,
        group_id="modstream",
        failed_at=failed_at,
    )
    return as_read(cut(dead_letter, max_bytes=max_bytes), partition, offset)


def as_read(record: OutgoingRecord, partition: int, offset: int) -> SourceRecord:
    """Return a record as it is read from its topic."""
    return SourceRecord(record.topic, partition, offset, 1_777_000_000_000, record.key, record.value, record.headers)


class MemorySnapshot:
    """The dead letters that were there when the reading began."""

    def __init__(self, dead_letters: Sequence[SourceRecord], beginnings: Mapping[int, int]) -> None:
        self._dead_letters = dead_letters
        self.beginnings = beginnings
        self.total = len(dead_letters)
        self.passed = 0

    async def batches(self) -> AsyncIterator[Sequence[SourceRecord]]:
        """Yield them in threes."""
        for start in range(0, len(self._dead_letters), 3):
            batch = self._dead_letters[start : start + 3]
            self.passed += len(batch)
            yield batch


class MemoryDeadLetterStore:
    """Dead letters, a journal and what was sent, in memory; commits fail as the test wants."""

    def __init__(self, dead_letters: Sequence[SourceRecord] = ()) -> None:
        self.dead_letters = list(dead_letters)
        self.beginnings: dict[int, int] = {}
        self.journal: list[SourceRecord] = []
        self.sent: list[OutgoingRecord] = []
        self.turn = 0
        self.before_commit: Callable[[], Awaitable[None]] | None = None
        """Called before every commit; what it raises makes the commit fail without having happened."""
        self.after_commit: Callable[[], Awaitable[None]] | None = None
        """Called after every commit; what it raises makes a commit fail that has happened."""

    @asynccontextmanager
    async def read(self, wanted: DeadLetterFilter) -> AsyncIterator[Snapshot]:
        """Read what is there now."""
        chosen = [
            dead_letter
            for dead_letter in self.dead_letters
            if (not wanted.partitions or dead_letter.partition in wanted.partitions)
            and (wanted.offsets is None or dead_letter.offset in wanted.offsets)
        ]
        yield MemorySnapshot(chosen, self.beginnings)

    async def marks(self) -> Marks:
        """Read the journal."""
        return Marks(self.journal)

    @asynccontextmanager
    async def take_over(self) -> AsyncIterator[JournalWriter]:
        """Fence the current owner of the turn."""
        self.turn += 1
        yield MemoryJournalWriter(self, self.turn)

    def commit(self, records: Sequence[OutgoingRecord]) -> None:
        """Let records appear together."""
        for record in records:
            if record.topic == JOURNAL:
                self.journal.append(as_read(record, 0, len(self.journal)))
            else:
                self.sent.append(record)


class MemoryJournalWriter:
    """One turn."""

    def __init__(self, store: MemoryDeadLetterStore, turn: int) -> None:
        self._store = store
        self._turn = turn
        self.marks = Marks(store.journal)

    async def commit(self, records: Sequence[OutgoingRecord]) -> None:
        """Commit, unless the turn is over."""
        if self._store.before_commit:
            await self._store.before_commit()
        if self._turn != self._store.turn:
            raise ShutOutError
        self._store.commit(records)
        if self._store.after_commit:
            await self._store.after_commit()


async def vanish() -> None:
    """Fail as a broker does that gives no answer."""
    raise PublishUnknownError(records=1, detail="no answer")
