"""Records in flight by their coordinates, so that work goes on when their partition is lost and comes back."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from service.core.records import OutgoingRecord, Partition, SourceRecord, record_size_bytes
from service.delivery.attempts import Resolution
from service.delivery.handler import UNREAD, Reading
from service.delivery.offsets import Progress
from service.delivery.window import Window, WorkSlots


class AssignedPartition(Protocol):
    """The way back of a delivered record; closed when its partition is lost."""

    def submit(self, offset: int, outcomes: Sequence[OutgoingRecord], *, record_size_bytes: int) -> None:
        """Hand over the outcomes of a delivered record; ignored when closed."""
        ...


class InFlightRecord:
    """One record from its first delivery until its outcomes are committed; in the window until it has outcomes."""

    __slots__ = (
        "_has_slot",
        "_held_bytes",
        "_slots",
        "_start",
        "_window",
        "assigned",
        "is_in_window",
        "is_under_way",
        "on_left",
        "reading",
        "received_at_s",
        "record",
        "resolution",
        "task",
    )  # fmt: skip

    def __init__(
        self,
        record: SourceRecord,
        assigned: AssignedPartition,
        *,
        window: Window,
        slots: WorkSlots,
        start: Callable[["InFlightRecord"], bool],
    ) -> None:
        """`start` begins the work on the record; it returns False when that is not wanted any more."""
        self.record = record
        self.assigned = assigned
        self.reading = UNREAD
        self.received_at_s = time.perf_counter()
        self.resolution: Resolution | None = None
        self.task: asyncio.Task[None] | None = None
        self.is_under_way = False
        """Set by the task; one that is cancelled before its first step never gets to leave the window itself."""
        self.on_left: Callable[[InFlightRecord], None] | None = None
        """Called once when the record leaves the window."""
        self._slots = slots
        self._start = start
        self._has_slot = False
        self._window = window
        self._held_bytes = len(record.value or b"")
        self.is_in_window = True
        """False once it has outcomes or is aborted."""
        window.admit(self._held_bytes)

    def take_reading(self, reading: Reading) -> None:
        """Take note of what the record says, and of the memory that this takes."""
        self.reading = reading
        self._held_bytes += reading.held_bytes
        self._window.hold(reading.held_bytes)

    def request_slot(self) -> None:
        """Ask for the slot in which the work starts."""
        self._slots.request(self.reading.tenant, self)

    def grant(self) -> bool:
        """Start in the slot that was asked for; False when the record was aborted, or is not to start any more."""
        self._has_slot = self.is_in_window and self._start(self)
        return self._has_slot

    async def acquire_slot(self) -> None:
        """Wait for a work slot, before the tenant's records that are yet to start."""
        if not self._has_slot:
            turn = _Turn(self)
            self._slots.request(self.reading.tenant, turn, first=True)
            await turn.came

    def take_slot(self) -> None:
        """Take note of a slot that was granted while the work is under way."""
        self._has_slot = True

    def release_slot(self) -> None:
        """Leave the slot to another record."""
        if self._has_slot:
            self._has_slot = False
            self._slots.release()

    def leave_window(self) -> None:
        """Make room for another."""
        if self.is_in_window:
            self.is_in_window = False
            self._window.release(self._held_bytes)
            self.release_slot()
            if self.task is None:
                # Aborted before it started; it is still in line for a slot, for as long as no slot becomes free.
                self.record, self.reading = self.record._replace(value=None, headers=()), UNREAD
            if self.on_left is not None:
                self.on_left(self)

    def submit(self) -> None:
        """Hand the outcomes over, if there are any yet."""
        if self.resolution is not None:
            size_bytes = record_size_bytes(self.record)
            self.assigned.submit(self.record.offset, self.resolution.outcomes, record_size_bytes=size_bytes)

    def abort(self) -> None:
        """End the work; it is somebody else's, or in vain."""
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

    def adopt(self, record: SourceRecord, assigned: AssignedPartition) -> bool:
        """Continue with a record that was delivered again; False when it is not in flight."""
        items = self._partitions.get((record.topic, record.partition))
        item = items.get(record.offset) if items else None
        if item is None:
            return False
        if item.record != record:  # a topic that was deleted and made anew
            item.abort()
            return False
        item.assigned = assigned
        item.submit()
        return True

    def find(self, partition: Partition, offset: int) -> InFlightRecord | None:
        """Return the record in flight at an offset, None when there is none any more."""
        return self._partitions.get(partition, {}).get(offset)

    def begin(self, item: InFlightRecord) -> None:
        """Take note of a record."""
        record = item.record
        place = (record.topic, record.partition)
        items = self._partitions.get(place)
        if items is None:
            items = self._partitions[place] = {}
        items[record.offset] = item

    def end(self, partition: Partition, offsets: Iterable[int]) -> list[InFlightRecord]:
        """Forget the records whose outcomes are committed, and return them."""
        items = self._partitions.get(partition, {})
        return [items.pop(offset) for offset in offsets if offset in items]

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
