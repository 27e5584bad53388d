"""Keeps a partition open for each one that the group assigns to this process, through every rebalance."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from service.core.errors import FatalError
from service.core.records import Partition
from service.delivery.batch import CommitBacklog, CommitPace, CommitResources, FindOutage
from service.delivery.committer import OutcomeWriter
from service.delivery.group_state import Membership
from service.delivery.offset_guard import OffsetGuard, StartingPoint
from service.delivery.offsets import Progress
from service.delivery.partition import AssignedPartition, PartitionWorker
from service.delivery.resolution import FinishedRecord
from service.kafka.connection import describe
from service.kafka.errors import ConsumerFailedError
from service.kafka.topic_limits import TopicLimits
from service.settings.delivery import CommitSettings
from service.telemetry.instruments import REBALANCE_PAUSE, REBALANCES

log = structlog.get_logger(__name__)


class StreamListener(Protocol):
    """Receives changes of the assigned partitions.

    The records of a lost partition may be delivered again; their work can then be adopted.
    """

    def on_held(self, partitions: frozenset[Partition]) -> None:
        """Called with the partitions that this process holds now; work on records of others cannot be committed."""
        ...

    def on_opened(self, partition: Partition, progress: Progress) -> None:
        """Called when a partition is open.

        Every record that its stored progress does not include is delivered, even if it was delivered before.
        """
        ...

    def on_committed(self, partition: Partition, records: Sequence[FinishedRecord]) -> None:
        """Called once for each commit, with the records whose outcomes it published."""
        ...

    def on_failed(self, error: FatalError) -> None:
        """Called when the stream cannot continue, with the fatal error."""
        ...


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Keeps every assigned partition open.

    aiokafka's own view is not enough: it delivers records while callbacks run, and lists partitions that are lost.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        settings: CommitSettings,
        listener: StreamListener,
        *,
        guard: OffsetGuard,
        make_writer: Callable[[TopicPartition], OutcomeWriter],
        limits: TopicLimits,
        find_outage: FindOutage,
        release_timeout_s: float,
    ) -> None:
        self._consumer = consumer
        self._resources = CommitResources(
            settings,
            CommitPace(settings.interval_s),
            CommitBacklog(settings.max_waiting_bytes),
            limits,
            find_outage,
            listener.on_committed,
        )
        self._listener = listener
        self._make_writer = make_writer
        self.guard = guard
        """Decides where partitions are read from."""
        self._release_timeout_s = release_timeout_s
        self._membership = Membership(consumer)
        self._workers: dict[asyncio.Task[None], PartitionWorker] = {}
        self._released = False
        self._assigned: frozenset[Partition] | None = None
        self._paused_at_s: float | None = None
        self.open_partitions: dict[Partition, AssignedPartition] = {}
        """Those whose records may be taken."""
        self.unreadable: dict[Partition, int] = {}
        """Offsets that the broker refused to read on at."""
        self.changed = self._resources.changed
        """Set when a partition opens or commits."""

    @property
    def is_complete(self) -> bool:
        """Whether the group has assigned partitions to this process, perhaps none, and all of them are open."""
        return self._assigned is not None and self._assigned == self.open_partitions.keys()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Commit finished records of the revoked partitions.

        Records in flight continue, in case the partition comes back.
        """
        # aiokafka only logs what a listener raises, and would go on without us.
        try:
            log.info("partitions.revoked", count=len(revoked))
            self._assigned = None
            if self.open_partitions:
                self._paused_at_s = time.perf_counter()
            await self._close_partitions()
        except Exception as error:  # noqa: BLE001 - reported, so that the process stops
            self.fail(error)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Start to open the partitions, without waiting: a slow broker must not delay the group's heartbeat."""
        try:
            log.info("partitions.assigned", count=len(assigned))
            REBALANCES.add(1)
            if not self._released:
                self._assigned = frozenset(Partition(*partition) for partition in assigned)
                self._paused_at_s = self._paused_at_s if assigned else None
                self._listener.on_held(self._assigned)
                for partition in assigned:
                    self._keep(partition)
        except Exception as error:  # noqa: BLE001 - as above
            self.fail(error)

    def out_of_range(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Record that the broker refused to read at these offsets; the log watch determines the cause."""
        for place, offset in offsets.items():
            self.unreadable[Partition(*place)] = offset

    async def release(self) -> None:
        """Close all partitions at the end of the process."""
        self._released = True
        await self._close_partitions()

    def _keep(self, partition: TopicPartition) -> None:
        worker = PartitionWorker(
            Partition(*partition),
            self._make_writer(partition),
            resources=self._resources,
            is_member=self._membership.confirm,
            find_start=self.guard.starting_point,
            on_open=self._opened,
            on_gone=self._gone,
        )
        task = asyncio.create_task(worker.run(), name=f"keep {partition.topic}/{partition.partition}")
        self._workers[task] = worker
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._workers.pop(task, None)
        if not task.cancelled() and (error := task.exception()):
            self.fail(error)

    async def _close_partitions(self) -> None:
        self.open_partitions.clear()
        workers = dict(self._workers)
        for task, worker in workers.items():
            if not worker.close():
                task.cancel()
        if workers:
            _, late = await asyncio.wait(workers, timeout=self._release_timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _opened(self, assigned: AssignedPartition, start: StartingPoint) -> None:
        # Without it aiokafka may read from an offset that it learnt before the previous owner was fenced.
        self._consumer.seek(TopicPartition(*assigned.partition), start.progress.base)
        if start.is_other_log and self._assigned is not None:
            self._listener.on_held(self._assigned - {assigned.partition})
        self.open_partitions[assigned.partition] = assigned
        if self._paused_at_s is not None:
            REBALANCE_PAUSE.record(time.perf_counter() - self._paused_at_s)
            self._paused_at_s = None
        self._listener.on_opened(assigned.partition, start.progress)
        self.changed.set()

    def _gone(self, assigned: AssignedPartition) -> None:
        if self.open_partitions.get(assigned.partition) is assigned:
            del self.open_partitions[assigned.partition]
        self.unreadable.pop(assigned.partition, None)

    def fail(self, error: BaseException) -> None:
        """Report to the listener that the stream cannot continue."""
        log.error("stream.failed", error=error, exc_info=error)
        if not isinstance(error, FatalError):
            failure = ConsumerFailedError(detail=describe(error))
            failure.__cause__ = error
            error = failure
        self._listener.on_failed(error)
