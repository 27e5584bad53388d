"""A partition's committer under test, on a store in memory."""

import asyncio
from collections.abc import Sequence

from service.core.records import OutgoingRecord
from service.delivery.batch import CommitBacklog, CommitPace
from service.delivery.commit_resources import CommitResources
from service.delivery.committer import OutcomeWriter, PartitionCommitter
from service.delivery.offsets import PartitionProgress, Progress
from service.kafka.errors import OutcomesRefusedError
from service.kafka.topic_limits import TopicLimits
from service.settings.process import CommitSettings
from testing.partition_store import Fault, PartitionStore, StoreWriter
from testing.waiting import wait_until

SOON_S, LATER_S = 0.01, 3600.0
# Long enough that half of it and all of it are told apart on a busy machine.
HASTY_S = 2.0


def outcome(offset: int) -> OutgoingRecord:
    """Return a verdict that names its record's offset."""
    return OutgoingRecord("verdicts", b"%d" % offset, b"verdict", ())


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
    )


def a_committer(writer: OutcomeWriter, progress: PartitionProgress) -> PartitionCommitter:
    """Return a committer with nothing special about it."""
    return PartitionCommitter(
        writer,
        progress,
        resources=some_resources(),
        name="",
        on_committed=lambda _: None,
        on_refused=lambda _, __: (),
    )


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
        self.committed: list[int] = []
        self.backlog = CommitBacklog(max_waiting_bytes)
        self.replaced: list[int] = []
        self.limits = TopicLimits(1_000_000, compression="none")
        self.committer = PartitionCommitter(
            self.writer,
            self.progress,
            resources=CommitResources(
                CommitSettings(max_outcomes=max_outcomes, max_bytes=max_bytes),
                CommitPace(interval_s),
                self.backlog,
                self.limits,
                self.store.find_outage,
            ),
            name="uploads/0",
            on_committed=self.committed.extend,
            on_refused=self.replace,
        )
        for offset in range(10):
            self.progress.deliver(offset)

    def finish(self, *offsets: int) -> None:
        for offset in offsets:
            self.committer.submit(offset, [outcome(offset)])

    def replace(self, offset: int, refusal: OutcomesRefusedError) -> Sequence[OutgoingRecord]:
        """Give a small outcome for one that is refused."""
        self.replaced.append(offset)
        return [OutgoingRecord("dead", b"%d" % offset, refusal.topic.encode(), ())]

    def finish_large(self, offset: int, *, size_bytes: int, topic: str = "verdicts") -> OutgoingRecord:
        large = OutgoingRecord(topic, b"%d" % offset, b"x" * size_bytes, ())
        self.committer.submit(offset, [large])
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
