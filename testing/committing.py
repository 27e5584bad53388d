"""A partition's committer under test, on a store in memory."""

import asyncio
from collections.abc import Sequence

from service.core.records import OutgoingRecord
from service.core.records import Partition as Place
from service.delivery.batch import CommitBacklog, CommitPace, CommitResources
from service.delivery.committer import OutcomeWriter, PartitionCommitter
from service.delivery.offsets import PartitionProgress, Progress
from service.delivery.resolution import FinishedRecord, Resolution
from service.kafka.errors import OutcomesRefusedError
from service.kafka.publisher import record_bytes
from service.kafka.topic_limits import TopicLimits
from service.settings.delivery import CommitSettings
from testing.partition_store import Fault, PartitionStore, StoreWriter
from testing.waiting import wait_until

SOON_S, LATER_S = 0.01, 3600.0
# Long enough that half of it and all of it are distinguished on a busy machine.
HASTY_S = 2.0


def outcome(offset: int) -> OutgoingRecord:
    """Return a verdict that names its record's offset."""
    return OutgoingRecord("verdicts", b"%d" % offset, b"verdict", ())


class Finished:
    """A finished record, and how often its outcomes were replaced."""

    def __init__(self, offset: int, *outcomes: OutgoingRecord, size_bytes: int = 0) -> None:
        self.offset = offset
        self.size_bytes = size_bytes
        self.resolution = Resolution(outcomes, -1)
        self.replaced = 0

    @property
    def published_bytes(self) -> int:
        """Size of the outcomes."""
        return sum(map(record_bytes, self.resolution.outcomes))

    @property
    def held_bytes(self) -> int:
        """Size of the outcomes and of the record."""
        return self.published_bytes + self.size_bytes

    def replace_outcomes(self, refusal: OutcomesRefusedError) -> None:
        """Take a small outcome for those that are refused."""
        self.replaced += 1
        dead_letter = OutgoingRecord("dead", b"%d" % self.offset, refusal.topic.encode(), ())
        self.resolution = Resolution((dead_letter,), -1, "dead_lettered")


async def no_outage() -> None:
    """Find nothing."""


def some_resources() -> CommitResources:
    """Return resources with nothing special about them."""
    return CommitResources(
        CommitSettings(),
        CommitPace(SOON_S),
        CommitBacklog(1_000_000),
        TopicLimits(1_000_000, compression="none"),
        no_outage,
        lambda _, __: None,
    )


def a_committer(writer: OutcomeWriter, progress: PartitionProgress) -> PartitionCommitter:
    """Return a committer with nothing special about it."""
    return PartitionCommitter(Place("images.uploaded", 0), writer, progress, some_resources())


class Partition:
    """A partition under test: offsets 0 to 9 are delivered."""

    def __init__(
        self,
        interval_s: float = SOON_S,
        *,
        max_outcomes: int = 1000,
        max_bytes: int = 1_000_000,
        max_waiting_bytes: int = 1_000_000,
        faults: Sequence[Fault] = (),
    ) -> None:
        self.store = PartitionStore()
        self.writer = StoreWriter(self.store, faults)
        self.writer.is_open = True
        self.progress = PartitionProgress(Progress(0))
        self.committed_records: list[FinishedRecord] = []
        self.backlog = CommitBacklog(max_waiting_bytes)
        self.limits = TopicLimits(1_000_000, compression="none")
        self.finished: list[Finished] = []
        self.committer = PartitionCommitter(
            Place("uploads", 0),
            self.writer,
            self.progress,
            CommitResources(
                CommitSettings(max_outcomes=max_outcomes, max_bytes=max_bytes),
                CommitPace(interval_s),
                self.backlog,
                self.limits,
                self.store.find_outage,
                lambda _, records: self.committed_records.extend(records),
            ),
        )
        for offset in range(10):
            self.progress.deliver(offset)

    @property
    def committed(self) -> list[int]:
        """Offsets of the records whose outcomes are committed, in the order of their commits."""
        return [record.offset for record in self.committed_records]

    @property
    def replaced(self) -> list[int]:
        """Offsets of the records whose outcomes were replaced, once for each time."""
        return [record.offset for record in self.finished for _ in range(record.replaced)]

    def submit(self, record: Finished) -> None:
        """Submit a record."""
        self.finished.append(record)
        self.committer.submit(record)

    def finish(self, *offsets: int) -> None:
        for offset in offsets:
            self.submit(Finished(offset, outcome(offset)))

    def finish_large(self, offset: int, *, size_bytes: int, topic: str = "verdicts") -> OutgoingRecord:
        large = OutgoingRecord(topic, b"%d" % offset, b"x" * size_bytes, ())
        self.submit(Finished(offset, large))
        return large

    async def commit_until(self, count: int) -> None:
        """Commit until so many records are committed, then end."""
        run = asyncio.create_task(self.committer.run())
        await wait_until(lambda: run.done() or len(self.committed) == count, description=f"{count} are committed")
        await partition_closes(self, run)

    async def commit_all(self) -> None:
        """Commit what is finished and end."""
        self.committer.close()
        await self.committer.run()


async def after_the_first_commit(partition: Partition) -> asyncio.Task[None]:
    """Run the committer until offset 0 is committed, from where on its interval counts."""
    run = asyncio.create_task(partition.committer.run())
    partition.finish(0)
    await wait_until(lambda: partition.committed == [0], description="the first is committed", timeout_s=5)
    return run


async def partition_closes(partition: Partition, run: asyncio.Task[None]) -> None:
    """Close a partition and wait until its committer has ended."""
    partition.committer.close()
    await run
