"""The records in flight, by their coordinates. Work continues when a partition is lost and assigned again."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from service.core.records import Partition, SourceRecord, record_size_bytes
from service.delivery.handler import UNREAD, Reading
from service.delivery.offsets import Progress
from service.delivery.resolution import UNRESOLVED, FinishedRecord, Resolution
from service.delivery.window import Window, WorkSlots
from service.kafka.errors import OutcomesRefusedError
from service.kafka.publisher import record_bytes


class Committer(Protocol):
    """Commits the finished records of one partition; closed when the partition is lost."""

    def submit(self, record: FinishedRecord, /) -> None:
        """Add a finished record to the next commit; ignored when closed."""
        ...


@dataclass(frozen=True, slots=True)
class InFlightResources:
    """What all records in flight share: the window, the work slots, and the order by key."""

    window: Window
    slots: WorkSlots
    start: Callable[["InFlightRecord"], bool]
    """Begins the work on a record; returns False when that is not wanted any more."""
    smaller: Callable[["InFlightRecord", OutcomesRefusedError], Resolution]
    """Returns a resolution with outcomes that fit, for a record whose outcomes a topic refused."""


class InFlightRecord:
    """One record from its first delivery until its outcomes are committed.

    It is in the window until it has outcomes.
    """

    __slots__ = (
        "_has_slot",
        "_record_bytes",
        "_shared",
        "_window_bytes",
        "committer",
        "held_bytes",
        "is_in_window",
        "is_under_way",
        "offset",
        "on_left",
        "published_bytes",
        "reading",
        "received_at_s",
        "record",
        "resolution",
        "task",
    )

    def __init__(self, record: SourceRecord, committer: Committer, shared: InFlightResources) -> None:
        self.record = record
        self.offset = record.offset
        self.committer = committer
        self.reading = UNREAD
        self.received_at_s = time.perf_counter()
        self.resolution = UNRESOLVED
        self.published_bytes = 0
        """Size of the outcomes."""
        self.held_bytes = 0
        """Size of the outcomes and of the record, which are kept until the commit; 0 until there are outcomes."""
        self.task: asyncio.Task[None] | None = None
        self.is_under_way = False
        """Set by the task; one that is cancelled before its first step never gets to leave the window itself."""
        self.on_left: Callable[[InFlightRecord], None] | None = None
        """Called once when the record leaves the window."""
        self._shared = shared
        self._has_slot = False
        self._record_bytes = self._window_bytes = record_size_bytes(record)
        self.is_in_window = True
        """False once it has outcomes or is aborted."""
        shared.window.admit(self._window_bytes)

    def take_reading(self, reading: Reading) -> None:
        """Set the content of the record, and count the memory that it takes."""
        self.reading = reading
        self._window_bytes += reading.held_bytes
        self._shared.window.hold(reading.held_bytes)

    def request_slot(self) -> None:
        """Request the work slot with which the work starts."""
        self._shared.slots.request(self.reading.tenant, self)

    def grant(self) -> bool:
        """Start the work in the granted slot; return False if the record was aborted or must not start any more."""
        self._has_slot = self.is_in_window and self._shared.start(self)
        return self._has_slot

    async def acquire_slot(self) -> None:
        """Wait for a work slot; this record precedes those of its tenant that have not started."""
        if not self._has_slot:
            turn = _Turn(self)
            self._shared.slots.request(self.reading.tenant, turn, first=True)
            await turn.came

    def take_slot(self) -> None:
        """Record that a slot was granted while the work runs."""
        self._has_slot = True

    def release_slot(self) -> None:
        """Leave the slot to another record."""
        if self._has_slot:
            self._has_slot = False
            self._shared.slots.release()

    def leave_window(self) -> None:
        """Free the record's place and bytes in the window."""
        if self.is_in_window:
            self.is_in_window = False
            self._shared.window.release(self._window_bytes)
            self.release_slot()
            if self.task is None:
                # Aborted before it started; it is still in line for a slot, for as long as no slot becomes free.
                self.record, self.reading = self.record._replace(value=None, headers=()), UNREAD
            if self.on_left is not None:
                self.on_left(self)

    def resolve(self, resolution: Resolution) -> None:
        """Set what is published for the record."""
        self.resolution = resolution
        self.published_bytes = sum(map(record_bytes, resolution.outcomes))
        self.held_bytes = self.published_bytes + self._record_bytes

    def submit(self) -> None:
        """Give the record to its committer, if it has outcomes."""
        if self.resolution is not UNRESOLVED:
            self.committer.submit(self)

    def replace_outcomes(self, refusal: OutcomesRefusedError) -> None:
        """Replace outcomes that a topic refused by smaller ones; may raise a `FatalError`."""
        self.resolve(self._shared.smaller(self, refusal))

    def abort(self) -> None:
        """Cancel the work, because another process owns the record now or the result is not needed."""
        if self.task is not None:
            self.task.cancel()
        if not self.is_under_way:
            self.leave_window()


class _Turn:
    """A record under way that waits for a slot."""

    __slots__ = ("_item", "came")

    def __init__(self, item: InFlightRecord) -> None:
        self._item = item
        self.came: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def grant(self) -> bool:
        """Take the slot; False when the task was cancelled while it waited."""
        if self.came.done():
            return False
        self._item.take_slot()
        self.came.set_result(None)
        return True


class InFlightRecords:
    """The records in flight, by partition and offset."""

    def __init__(self) -> None:
        self._partitions: dict[tuple[str, int], dict[int, InFlightRecord]] = {}

    def under_way(self) -> list[InFlightRecord]:
        """Return the records whose tasks still run."""
        items = (item for partition in self._partitions.values() for item in partition.values())
        return [item for item in items if item.task is not None and not item.task.done()]

    def oldest_ms(self) -> int | None:
        """Return the Kafka timestamp of the oldest record; may be called in any thread."""
        # Copied in steps that the event loop cannot come between.
        items = [item for partition in list(self._partitions.values()) for item in list(partition.values())]
        times_ms = (item.record.timestamp_ms for item in items)
        return min((time_ms for time_ms in times_ms if time_ms >= 0), default=None)

    def adopt(self, record: SourceRecord, committer: Committer) -> bool:
        """Continue with a record that was delivered again; return False if it is not in flight."""
        items = self._partitions.get((record.topic, record.partition))
        item = items.get(record.offset) if items else None
        if item is None:
            return False
        if item.record != record:  # a topic that was deleted and made anew
            item.abort()
            return False
        item.committer = committer
        item.submit()
        return True

    def begin(self, item: InFlightRecord) -> None:
        """Add a record."""
        record = item.record
        place = (record.topic, record.partition)
        items = self._partitions.get(place)
        if items is None:
            items = self._partitions[place] = {}
        items[record.offset] = item

    def end(self, partition: Partition, records: Iterable[FinishedRecord]) -> None:
        """Remove records whose outcomes are committed."""
        items = self._partitions.get(partition, {})
        for record in records:
            items.pop(record.offset, None)

    def keep_only(self, partitions: frozenset[Partition]) -> None:
        """Abort the records of all other partitions."""
        for partition in self._partitions.keys() - partitions:
            for item in self._partitions.pop(partition).values():
                item.abort()

    def abort_finished(self, partition: Partition, progress: Progress) -> None:
        """Abort the records that another owner finished."""
        items = self._partitions.get(partition, {})
        for offset in [offset for offset in items if progress.is_finished(offset)]:
            items.pop(offset).abort()
