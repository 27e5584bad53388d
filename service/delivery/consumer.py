"""Receives records from all assigned partitions in turn, each once, as many as the window has room for."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import TypeAlias

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from service.core.records import Partition, SourceRecord
from service.delivery.assignment import Assignment
from service.delivery.committer import PartitionCommitter
from service.delivery.partition import AssignedPartition
from service.delivery.retry import due_s
from service.delivery.status import StreamStatus, status_of
from service.kafka.broker_errors import denial
from service.kafka.connection import describe
from service.kafka.errors import ConsumerFailedError
from service.kafka.fetch_refusals import FetchRefusals
from service.kafka.log_bounds import LogEnds

log = structlog.get_logger(__name__)

_POLL_TIMEOUT_S = 0.2
"""How long a poll waits for records before it checks again which partitions may be read."""

_NO_PARTITION = TopicPartition("", 0)
"""Polling it keeps the group membership alive, and leaves what was fetched ahead in place."""


Fetched: TypeAlias = dict[TopicPartition, list[SourceRecord]]


class KafkaStream:
    """The records of the input topics, each until its outcome is committed; `open_stream` makes it."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        assignment: Assignment,
        *,
        ends: LogEnds,
        refusals: FetchRefusals,
        retry_delays_s: Mapping[str, float],
        max_span: int,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._consumer = consumer
        self._assignment = assignment
        self._ends = ends
        self._refusals = refusals
        self._retry_delays_s = retry_delays_s
        self._max_span = max_span
        self._now_s = now_s
        self._woken = False
        self._poll: asyncio.Timeout | None = None
        self._turn = 0

    def wake(self) -> None:
        """Let the current `receive` return at once, or else the next one."""
        self._woken = True
        if self._poll is not None:
            self._poll.reschedule(asyncio.get_running_loop().time())

    def status(self) -> StreamStatus:
        """Return lag and progress of all open partitions; safe in any thread."""
        # Copied in one step: the event loop may open an open partition meanwhile.
        open_partitions = dict(self._assignment.open_partitions)
        ends = self._ends.by_partition
        return StreamStatus(
            is_complete=self._assignment.is_complete,
            open_partitions=len(open_partitions),
            partitions=tuple(
                status_of(partition, assigned.progress, ends[partition], self._refusals.of(TopicPartition(*partition)))
                for partition, assigned in open_partitions.items()
                if partition in ends
            ),
            span_share=max(
                (assigned.progress.span / self._max_span for assigned in open_partitions.values()), default=0.0
            ),
            brokers_answered_at_s=self._ends.answered_at_s,
            offsets_lost=self._assignment.guard.lost,
        )

    async def keep_alive(self) -> None:
        """Keep the group membership while no records are received."""
        await self._interruptibly(self._getmany(_NO_PARTITION, timeout_s=0.0, max_records=1))

    async def receive(self, max_records: int) -> list[tuple[PartitionCommitter, list[SourceRecord]]]:
        """Return records that became available, at most so many, with the committer of their partition.

        Returns none when woken or after a while. Raises `ConsumerFailedError`.
        """
        # Nothing may wait between aiokafka's answer and ours: a rebalance in between would take open_partitions away.
        fetched = await self._interruptibly(self._fetch(max_records))
        return [delivery for partition, records in fetched.items() if (delivery := self._deliver(partition, records))]

    async def _interruptibly(self, fetching: Coroutine[None, None, Fetched]) -> Fetched:
        """Await a fetch until it is done or `wake` is called; aiokafka may wait for a rebalance without limit."""
        if self._woken:
            self._woken = False
            fetching.close()
            return {}
        try:
            async with asyncio.timeout(None) as self._poll:
                return await fetching
        except TimeoutError:
            self._woken = False
            return {}
        finally:
            self._poll = None

    async def _fetch(self, max_records: int) -> Fetched:
        readable = self._readable()
        if not readable:
            await self._getmany(_NO_PARTITION, timeout_s=0.0, max_records=1)
            await self._until_changed()
            return {}
        # Each poll begins with another partition: aiokafka itself empties one after the other.
        self._turn = (self._turn + 1) % len(readable)
        fetched = await self._getmany(readable[self._turn], timeout_s=0.0, max_records=max_records)
        return fetched or await self._getmany(*readable, timeout_s=_POLL_TIMEOUT_S, max_records=max_records)

    def _readable(self) -> list[TopicPartition]:
        now_s = self._now_s()
        return [
            TopicPartition(*partition)
            for partition, assigned in self._assignment.open_partitions.items()
            if assigned.rests_until_s <= now_s
            and assigned.progress.span < self._max_span
            and assigned.committer.has_room
        ]

    async def _until_changed(self) -> None:
        self._assignment.changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_POLL_TIMEOUT_S):
                await self._assignment.changed.wait()

    async def _getmany(self, *partitions: TopicPartition, timeout_s: float, max_records: int) -> Fetched:
        try:
            fetched: Fetched = await self._consumer.getmany(
                *partitions, timeout_ms=round(timeout_s * 1000), max_records=max_records
            )
        except OffsetOutOfRangeError as error:
            self._assignment.out_of_range(*error.args)
            return {}
        except NoOffsetForPartitionError:  # of a partition that was not open yet; opening it has sought its place since
            return {}
        except KafkaError as error:
            if error.retriable:
                log.warning("consumer.retrying", error=error)
                return {}
            raise denial("reading", error) or ConsumerFailedError(detail=describe(error)) from error
        return fetched

    def _deliver(
        self, partition: TopicPartition, records: list[SourceRecord]
    ) -> tuple[PartitionCommitter, list[SourceRecord]] | None:
        assigned = self._assignment.open_partitions.get(Partition(*partition))
        if assigned is None:
            return None  # it will be read again once it is open
        return assigned.committer, self._admitted(partition, assigned, records)

    def _admitted(
        self, partition: TopicPartition, assigned: AssignedPartition, records: list[SourceRecord]
    ) -> list[SourceRecord]:
        """Return those that are to be processed now; the first that must wait is put back with all behind it."""
        admitted = []
        for record in records:
            # As `record.last_offset`, which would cost every record a call.
            last_offset = record.offset if record.unreadable is None else record.unreadable.last_offset
            if self._must_wait(record, assigned, last_offset):
                self._consumer.seek(partition, record.offset)
                break
            if assigned.progress.deliver(record.offset, last_offset):
                admitted.append(record)
        return admitted

    def _must_wait(self, record: SourceRecord, assigned: AssignedPartition, last_offset: int) -> bool:
        delay_s = self._retry_delays_s.get(record.topic)
        if delay_s is not None:
            now_s = self._now_s()
            due = due_s(record.headers, timestamp_ms=record.timestamp_ms, delay_s=delay_s, now_s=now_s)
            if due > now_s:
                assigned.rests_until_s = due
                return True
        return not assigned.progress.fits(last_offset, self._max_span)
