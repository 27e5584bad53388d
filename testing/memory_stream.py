"""A stream in memory: delivers records, commits outcomes at once, and can take partitions away and give them back."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from service.core.records import OutgoingRecord, Partition, SourceRecord
from service.delivery.assignment import StreamListener
from service.delivery.offsets import Progress
from service.delivery.resolution import FinishedRecord
from service.delivery.status import StreamStatus
from service.kafka.topic_limits import TopicLimits
from service.settings.settings import Settings

TOPIC = "images.uploaded"


def record(offset: int, *, key: bytes | None = None, value: bytes = b"event", partition: int = 0) -> SourceRecord:
    """Return a record of the uploads topic."""
    return SourceRecord(TOPIC, partition, offset, 1_700_000_000_000, key, value, ())


class MemoryPartition:
    """A partition whose outcomes are committed as they come."""

    def __init__(self, stream: "MemoryStream", partition: Partition) -> None:
        self._stream = stream
        self._partition = partition
        self.is_closed = False

    def submit(self, record: FinishedRecord, /) -> None:
        """Commit."""
        if not self.is_closed:
            self._stream.commit(self._partition, record)


class MemoryStream:
    """Records that are there, and outcomes that are committed."""

    def __init__(self, records: Sequence[SourceRecord] = ()) -> None:
        self._arrivals = deque(records)
        self._wakes = asyncio.Event()
        self.listener: StreamListener | None = None
        self.open_partitions: dict[Partition, MemoryPartition] = {}
        self.committed: dict[tuple[int, int], Sequence[OutgoingRecord]] = {}
        self.largest_request = 0
        self.kept_alive = 0
        self.left = False

    @asynccontextmanager
    async def connect(
        self, _settings: Settings, listener: StreamListener, _limits: TopicLimits
    ) -> AsyncIterator["MemoryStream"]:
        """Give itself to a processor."""
        self.listener = listener
        yield self
        self.left = True

    def arrive(self, *records: SourceRecord) -> None:
        """Let records arrive."""
        self._arrivals.extend(records)
        self._wakes.set()

    def take_away(self, partition: Partition) -> None:
        """Revoke a partition."""
        assigned = self.open_partitions.pop(partition)
        assigned.is_closed = True

    def give_back(self, partition: Partition, progress: Progress, *records: SourceRecord) -> None:
        """Assign it again and deliver records again."""
        assert self.listener is not None
        self.listener.on_held(frozenset({partition}))
        self.listener.on_opened(partition, progress)
        self.arrive(*records)

    def commit(self, partition: Partition, record: FinishedRecord) -> None:
        """Store outcomes; each record's only once."""
        assert self.listener is not None
        assert (partition.partition, record.offset) not in self.committed
        self.committed[partition.partition, record.offset] = record.resolution.outcomes
        self.listener.on_committed(partition, [record])

    async def receive(self, max_records: int) -> list[tuple[MemoryPartition, list[SourceRecord]]]:
        """Return what arrived, none after a while."""
        self.largest_request = max(self.largest_request, max_records)
        if not self._arrivals:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    await self._wakes.wait()
        self._wakes.clear()
        taken = [self._arrivals.popleft() for _ in range(min(max_records, len(self._arrivals)))]
        return [(self._open_partition(Partition(each.topic, each.partition)), [each]) for each in taken]

    async def keep_alive(self) -> None:
        """Count."""
        self.kept_alive += 1

    def status(self) -> StreamStatus:
        """Report all partitions as open, without ends."""
        return StreamStatus(
            is_complete=True,
            open_partitions=len(self.open_partitions),
            partitions=(),
            span_share=0.0,
            brokers_answered_at_s=None,
        )

    def wake(self) -> None:
        """End a wait."""
        self._wakes.set()

    def _open_partition(self, partition: Partition) -> MemoryPartition:
        return self.open_partitions.setdefault(partition, MemoryPartition(self, partition))
