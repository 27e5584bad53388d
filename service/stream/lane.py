"""One assigned partition: opened, worked on, given up or opened again."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog

from service.stream.backoff import until_answered
from service.stream.commit_resources import CommitResources
from service.stream.committer import OutcomeWriter, PartitionCommitter
from service.stream.errors import OutcomesRefusedError, PartitionLostError
from service.stream.offset_guard import StartingPoint
from service.stream.offsets import PartitionProgress, Progress
from service.stream.records import OutgoingRecord, Partition

log = structlog.get_logger(__name__)

OnRefused = Callable[[Partition, int, OutcomesRefusedError], Sequence[OutgoingRecord]]
"""Partition, offset and refusal → outcomes of the record that are smaller."""


class Lane:
    """The way of one partition's records, from its stored progress on; a partition opened again gets a new one."""

    def __init__(self, partition: Partition, progress: PartitionProgress, committer: PartitionCommitter) -> None:
        self.partition = partition
        self.progress = progress
        self.committer = committer
        self.rests_until_s = 0.0
        """Epoch seconds before which its next record must not be judged; 0 when nothing is put off."""

    def submit(self, offset: int, outcomes: Sequence[OutgoingRecord], *, record_size_bytes: int = 0) -> None:
        """Hand over what is to be committed for a delivered record, once; ignored when the lane is closed."""
        self.committer.submit(offset, outcomes, record_size_bytes=record_size_bytes)

    def pass_to(self, position: int) -> None:
        """Take note of how far the partition was read; commit it when nothing else will.

        Transaction markers and gaps hold no record, and would be lag for ever.
        """
        self.progress.pass_to(position)
        if self.progress.is_ahead:
            self.committer.commit_position()

    @property
    def has_room(self) -> bool:
        """Whether more of the partition may be read."""
        return self.committer.has_room


class LaneKeeper:
    """Keeps a lane open for one partition for as long as it is assigned."""

    def __init__(
        self,
        partition: Partition,
        writer: OutcomeWriter,
        *,
        resources: CommitResources,
        is_member: Callable[[], Awaitable[bool]],
        find_start: Callable[[Partition, Progress | None], Awaitable[StartingPoint]],
        on_open: Callable[[Lane, StartingPoint], None],
        on_gone: Callable[[Lane], None],
        on_committed: Callable[[Partition, Sequence[int]], None],
        on_refused: OnRefused,
    ) -> None:
        self._partition = partition
        self._writer = writer
        self._resources = resources
        self._is_member = is_member
        self._find_start = find_start
        self._on_open = on_open
        self._on_gone = on_gone
        self._on_committed = on_committed
        self._on_refused = on_refused
        self._lane: Lane | None = None
        self._closed = False
        self._log = log.bind(topic=partition.topic, partition=partition.partition)

    def close(self) -> bool:
        """Let `run` end after a last commit; False when there is nothing to commit and it can be cancelled."""
        self._closed = True
        if self._lane is None:
            return False
        self._lane.committer.close()
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
                # An evicted process is assigned partitions anew soon; until then they are somebody else's.
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
        lane = self._new_lane(stored)
        self._log.info("partition.opened", base=stored.base, finished_above=stored.bitmap.bit_count())
        self._lane = lane
        self._on_open(lane, start)
        try:
            await lane.committer.run()
        finally:
            self._lane = None
            lane.committer.close()
            self._on_gone(lane)

    def _new_lane(self, stored: Progress) -> Lane:
        progress = PartitionProgress(stored)
        committer = PartitionCommitter(
            self._writer,
            progress,
            resources=self._resources,
            name=f"{self._partition.topic}/{self._partition.partition}",
            on_committed=partial(self._on_committed, self._partition),
            on_refused=partial(self._on_refused, self._partition),
        )
        return Lane(self._partition, progress, committer)
