"""One assigned partition: opened, committed, closed, or opened again."""

from collections.abc import Awaitable, Callable

import structlog

from service.core.records import Partition
from service.delivery.batch import CommitResources
from service.delivery.committer import OutcomeWriter, PartitionCommitter
from service.delivery.offset_guard import StartingPoint
from service.delivery.offsets import PartitionProgress, Progress
from service.kafka.broker_errors import until_answered
from service.kafka.errors import PartitionLostError

log = structlog.get_logger(__name__)


class AssignedPartition:
    """One open partition, from its stored progress on. A partition that is opened again gets a new object."""

    def __init__(self, partition: Partition, progress: PartitionProgress, committer: PartitionCommitter) -> None:
        self.partition = partition
        self.progress = progress
        self.committer = committer
        self.rests_until_s = 0.0
        """Epoch seconds before which its next record must not be judged; 0 when nothing is deferred."""

    def pass_to(self, position: int) -> None:
        """Take note of how far the partition was read; commit it when nothing else will.

        Transaction markers and gaps hold no record, and would be lag for ever.
        """
        self.progress.pass_to(position)
        if self.progress.is_ahead:
            self.committer.commit_position()


class PartitionWorker:
    """Keeps one partition open for as long as it is assigned to this process."""

    def __init__(
        self,
        partition: Partition,
        writer: OutcomeWriter,
        *,
        resources: CommitResources,
        is_member: Callable[[], Awaitable[bool]],
        find_start: Callable[[Partition, Progress | None], Awaitable[StartingPoint]],
        on_open: Callable[[AssignedPartition, StartingPoint], None],
        on_gone: Callable[[AssignedPartition], None],
    ) -> None:
        self._partition = partition
        self._writer = writer
        self._resources = resources
        self._is_member = is_member
        self._find_start = find_start
        self._on_open = on_open
        self._on_gone = on_gone
        self._open_partition: AssignedPartition | None = None
        self._closed = False
        self._log = log.bind(topic=partition.topic, partition=partition.partition)

    def close(self) -> bool:
        """Let `run` return after a last commit; False if there is nothing to commit and it can be cancelled."""
        self._closed = True
        if self._open_partition is None:
            return False
        self._open_partition.committer.close()
        return True

    async def run(self) -> None:
        """Open the partition and commit until closed; a partition lost to another owner is opened again if still ours.

        Raises fatal errors.
        """
        try:
            while True:
                try:
                    await self._work(await until_answered(self._open, event="partition.unopened"))
                except PartitionLostError:
                    self._log.warning("partition.lost")
                else:
                    return
                # An evicted process is assigned partitions anew soon; until then they belong to another process.
                if self._closed or not await until_answered(self._is_member, event="partition.unconfirmed"):
                    return
        finally:
            await self._writer.close()

    async def _open(self) -> StartingPoint:
        await self._writer.close()
        stored = await self._writer.open()
        start = await self._find_start(self._partition, stored)
        if not start.is_stored:
            # Before anything is published: where there are outcomes and no offset, it was lost.
            await self._store(start.progress)
        return start

    async def _store(self, progress: Progress) -> None:
        # Who was fenced meanwhile must not try again and fence the rightful owner.
        if not await self._is_member():
            raise PartitionLostError
        await self._writer.commit([], progress)

    async def _work(self, start: StartingPoint) -> None:
        stored = start.progress
        progress = PartitionProgress(stored)
        committer = PartitionCommitter(self._partition, self._writer, progress, self._resources)
        assigned = AssignedPartition(self._partition, progress, committer)
        self._log.info("partition.opened", base=stored.base, finished_above=stored.bitmap.bit_count())
        self._open_partition = assigned
        self._on_open(assigned, start)
        try:
            await assigned.committer.run()
        finally:
            self._open_partition = None
            assigned.committer.close()
            self._on_gone(assigned)
