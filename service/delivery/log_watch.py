"""Follows the open partitions while records are read: how far their logs go, how far they were read, that the logs are
still the same, and that no other process has finished records of them."""

import asyncio
from collections.abc import Collection, Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.core.records import Partition
from service.delivery.assignment import Assignment
from service.delivery.group_state import StoredOffsets
from service.delivery.offsets import Progress
from service.delivery.partition import AssignedPartition
from service.kafka.errors import ProgressUnreadableError
from service.kafka.fetch_refusals import FetchRefusals
from service.kafka.log_bounds import LogBounds, LogEnds

log = structlog.get_logger(__name__)

_EVERY_S = 3.0
"""Four small requests; the figures are as old as this at most. Also how often an idle partition may commit
that it was read past markers: one transaction, where an uploader's transactions follow each other without a record."""

_CHECK_EVERY_S = 0.25
"""How soon a partition that was opened meanwhile is asked for: until then it has no lag to show.

It is polled, because the receiving task clears the event `Assignment.changed`.
"""

_ANSWER_TIMEOUT_S = 3.0
"""Time limit for an answer that usually takes milliseconds."""

_POSITION_TIMEOUT_S = 1.0
"""An open partition has a position at once; one that a rebalance takes away at this moment may never have one."""


_REFUSED_FOR_S = 15.0
"""A shorter refusal is an election, or a broker that starts."""

_REPEATED_EVERY_S = 60.0
"""How often the log names a partition that is still refused."""


_UNREADABLE = (KafkaError, OSError, TimeoutError, ProgressUnreadableError, AttributeError)
"""Of stored progress. What cannot be read may be that of a later version, which owns the partition by now; opening the
partition, or a commit, says so otherwise. aiokafka raises AttributeError for the error of an old broker."""


class LogWatch:
    """Reads the bounds of the open partitions' logs at intervals, and compares them with the progress."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        assignment: Assignment,
        *,
        ends: LogEnds,
        refusals: FetchRefusals,
        stored: StoredOffsets,
    ) -> None:
        self._consumer = consumer
        self._assignment = assignment
        self._ends = ends
        self._refusals = refusals
        self._stored = stored
        self._passed: dict[AssignedPartition, int] = {}
        """Offsets that another process had finished at the last check."""
        self._reported_at_s: dict[Partition, float] = {}

    async def run(self) -> None:
        """Read the bounds at intervals until cancelled; those of a new partition at once."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - reported, so that the process stops rather than run without these checks
                self._assignment.fail(error)
                return
            for _ in range(round(_EVERY_S / _CHECK_EVERY_S)):
                await asyncio.sleep(_CHECK_EVERY_S)
                if (
                    self._assignment.unreadable
                    or not self._ends.by_partition.keys() >= self._assignment.open_partitions.keys()
                ):
                    break

    async def look(self) -> None:
        """Read the bounds once, compare them with the progress, and record how far the partitions were read."""
        # Read before the brokers are asked: what is received meanwhile may lie above the ends that they report.
        read_to = {assigned: assigned.progress.received for assigned in self._assignment.open_partitions.values()}
        has_answer = await self._ends.ask([assigned.partition for assigned in read_to])
        for assigned, offset in read_to.items():
            if has_answer and self._is_open(assigned):
                self._compare(assigned, self._ends.by_partition[assigned.partition], read_to=offset)
            position = await self._position(TopicPartition(*assigned.partition))
            if position is not None and self._is_open(assigned):
                assigned.pass_to(position)
                self._report_refusal(assigned.partition, position)
        await self._compare_progress(read_to)

    def _compare(self, assigned: AssignedPartition, bounds: LogBounds, *, read_to: int) -> None:
        guard, unreadable = self._assignment.guard, self._assignment.unreadable.pop(assigned.partition, None)
        if guard.is_other_log(assigned.partition, assigned.progress.committed, bounds, read_to=read_to):
            assigned.committer.abandon()  # it is opened anew, which decides where to go on
        elif unreadable is not None and unreadable < bounds.start:
            guard.pass_deleted(assigned.partition, unreadable, bounds)
            # In place: what is in flight was read, and its outcomes count.
            self._consumer.seek(TopicPartition(*assigned.partition), bounds.start)
        elif unreadable is not None and unreadable > bounds.end:
            guard.note_out_of_range(assigned.partition, unreadable)
            assigned.committer.abandon()

    async def _compare_progress(self, open_partitions: Collection[AssignedPartition]) -> None:
        """Open a partition anew whose stored progress goes beyond its own, as after a skip by hand.

        A commit would be refused then. Where a record hangs, or cannot be read, there is nothing to commit.
        """
        stored = await self._stored_progress(open_partitions)
        passed = {
            assigned: offset
            for assigned in open_partitions
            if self._is_open(assigned)
            and (progress := stored.get(TopicPartition(*assigned.partition))) is not None
            and (offset := assigned.progress.first_passed_by(progress)) is not None
        }
        for assigned, offset in passed.items():
            if (
                self._passed.get(assigned) == offset
            ):  # seen once it may be a commit of this process without its answer yet
                log.warning("partition.passed", topic=assigned.partition.topic, partition=assigned.partition.partition)
                assigned.committer.abandon()
        self._passed = passed

    async def _stored_progress(
        self, open_partitions: Collection[AssignedPartition]
    ) -> Mapping[TopicPartition, Progress | None]:
        if not open_partitions:
            return {}
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                return await self._stored.fetch_all(
                    [TopicPartition(*assigned.partition) for assigned in open_partitions]
                )
        except _UNREADABLE as error:
            log.debug("partitions.progress_unknown", error=error)
            return {}

    def _report_refusal(self, partition: Partition, offset: int) -> None:
        """Say that brokers refuse to be read at an offset, again and again while they do."""
        refusal = self._refusals.of(TopicPartition(*partition))
        if refusal is None or refusal.last_s - refusal.since_s < _REFUSED_FOR_S:
            return
        if refusal.last_s - self._reported_at_s.get(partition, -_REPEATED_EVERY_S) < _REPEATED_EVERY_S:
            return
        self._reported_at_s[partition] = refusal.last_s
        place = f"{partition.topic}/{partition.partition}/{offset}"
        log.error(
            "partition.refused",
            topic=partition.topic,
            partition=partition.partition,
            offset=offset,
            error=refusal.error,
            refused_s=round(refusal.last_s - refusal.since_s),
            action=f"mend the brokers' log, or give the record up: modstream dead-letters skip {place}",
        )

    def _is_open(self, assigned: AssignedPartition) -> bool:
        return self._assignment.open_partitions.get(assigned.partition) is assigned

    async def _position(self, partition: TopicPartition) -> int | None:
        """Return the offset below which every record was delivered; None when it is not known at the moment.

        aiokafka moves a position when it hands records over, and nothing waits between that and their delivery.
        """
        try:
            async with asyncio.timeout(_POSITION_TIMEOUT_S):
                position: int = await self._consumer.position(partition)
        except (KafkaError, TimeoutError):
            return None
        return position
