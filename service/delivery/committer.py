"""Commits one partition's outcomes together with its progress, batch by batch, each exactly once."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import structlog

from service.core.records import OutgoingRecord, Partition
from service.delivery.batch import BatchSize, CommitResources, around, published, within
from service.delivery.offsets import PartitionProgress, Progress
from service.delivery.resolution import FinishedRecord
from service.kafka.broker_errors import until_answered
from service.kafka.errors import (
    CommitRefusedError,
    CommitTimedOutError,
    CommitUnknownError,
    OutcomesRefusedError,
    PartitionLostError,
)
from service.telemetry import labels
from service.telemetry.commit_trace import committing
from service.telemetry.instruments import COMMIT_DURATION

log = structlog.get_logger(__name__)

_MAX_REFUSALS = 5
"""Commits of one batch that fail although the brokers answer: then the batch itself is at fault, not an outage."""


_MAX_BATCHES = 4
"""Batches of outcomes that may wait during a commit. With two, fast handlers stood still behind slow commits."""


_HASTE = 0.5
"""Share of the interval after which a commit waits no longer if nothing that it could take along is under way."""


_COMMITTED = {labels.RESULT: "committed"}
_FAILED = {labels.RESULT: "failed"}


class OutcomeWriter(Protocol):
    """Writes the outcomes and the progress of one partition."""

    async def open(self) -> Progress | None:
        """Become the partition's only writer, then return its stored progress; raises `CommitUnknownError`.

        None when none is stored.
        """
        ...

    async def commit(self, records: Sequence[OutgoingRecord], progress: Progress) -> None:
        """Publish and store; raises `CommitUnknownError` when that may or may not have happened.

        `OutcomesRefusedError` says that a topic accepts nothing so large, `CommitTimedOutError` that it took too long.
        """
        ...

    async def settle(self, *, attempted: Progress, committed: Progress) -> bool:
        """Return whether a commit without a response happened, ready for the next; raises `PartitionLostError` too."""
        ...

    async def close(self) -> None:
        """Release the partition's producer."""
        ...


class PartitionCommitter:
    """Gathers finished records of one partition and commits them; while one batch commits, the next one gathers."""

    def __init__(
        self, partition: Partition, writer: OutcomeWriter, progress: PartitionProgress, resources: CommitResources
    ) -> None:
        self._partition = partition
        self._name = f"{partition.topic}/{partition.partition}"
        self._writer = writer
        self._progress = progress
        self._shared = resources
        settings = resources.settings
        self._max_outcomes = settings.max_outcomes
        self._size = BatchSize(settings.max_bytes, timeout_s=settings.timeout_s)
        self._log = log.bind(partition=self._name)
        self._finished: list[FinishedRecord] = []
        self._waiting_bytes = 0  # of what is to be published and not being committed yet
        self._held_bytes = 0  # of all that is not committed yet
        self._closing = False
        self._is_position_due = False
        self._is_abandoned = False
        self._is_hasty = False
        self._waiting = asyncio.Event()  # something is to be committed, or it is time to close
        self._urgent = asyncio.Event()  # enough is to be committed to do it now, or it is time to close

    def submit(self, record: FinishedRecord) -> None:
        """Add a finished record to the next batch.

        Ignored once closed: the partition's next owner handles the record again.
        """
        if self._closing:
            return
        self._finished.append(record)
        self._waiting_bytes += record.published_bytes
        self._hold(record.held_bytes)
        self._waiting.set()
        if self._is_full or (self._is_hasty and self._is_alone):
            self._urgent.set()

    def commit_position(self) -> None:
        """Commit the position up to which the partition was read, even if no record is to be committed with it."""
        self._is_position_due = True
        self._waiting.set()

    @property
    def has_room(self) -> bool:
        """Whether more of the partition may be read; false while too many outcomes wait for slow brokers."""
        backlog = self._shared.backlog
        return len(self._finished) < _MAX_BATCHES * self._max_outcomes and backlog.has_room(self._held_bytes)

    def close(self) -> None:
        """Let `run` return once all submitted records are committed."""
        self._closing = True
        self._waiting.set()
        self._urgent.set()

    def abandon(self) -> None:
        """Let `run` raise `PartitionLostError`; records that are not committed yet stay uncommitted."""
        self._is_abandoned = True
        self.close()

    async def run(self) -> None:
        """Commit until closed.

        Raises `PartitionLostError` when another owner took the partition over, and fatal errors.
        """
        loop = asyncio.get_running_loop()
        began_s, interval_s = loop.time(), 0.0  # after a quiet time the first outcome does not wait
        try:
            while await self._batch_due(began_s, interval_s):
                began_s, interval_s = loop.time(), self._shared.pace.interval_s(self._name)
                await self._commit(self._take())  # not kept in a name, which would hold it until the next one
        finally:
            self.close()
            self._hold(-self._held_bytes)  # what is left comes again, here or elsewhere

    async def _batch_due(self, began_s: float, interval_s: float) -> bool:
        """Wait for something to commit and for its time; False when closed and all is done."""
        await self._waiting.wait()
        await self._until_urgent(began_s + _HASTE * interval_s)
        self._is_hasty = True
        if not self._is_alone:
            await self._until_urgent(began_s + interval_s)
        self._is_hasty = False
        if self._is_abandoned:
            raise PartitionLostError
        return bool(self._finished) or self._is_position_due

    async def _until_urgent(self, latest_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(latest_s):
                await self._urgent.wait()

    @property
    def _is_alone(self) -> bool:
        """Whether all that was delivered is finished: to wait for more would only make these late."""
        return self._progress.unfinished <= len(self._finished)

    @property
    def _is_full(self) -> bool:
        """Whether there is enough for a transaction."""
        return len(self._finished) >= self._max_outcomes or self._waiting_bytes >= self._size.max_bytes

    def _hold(self, size_bytes: int) -> None:
        self._held_bytes += size_bytes
        self._shared.backlog.held_bytes += size_bytes

    def _take(self) -> list[FinishedRecord]:
        """Return what the next transaction may hold; what remains does not wait for the interval."""
        self._is_position_due = False
        batch, self._finished = self._finished, []
        if self._waiting_bytes > self._size.max_bytes:
            batch, *rest = within(batch, self._size.max_bytes)
            self._finished = rest[0] if rest else []
        self._waiting_bytes -= published(batch)
        if not self._closing and not self._finished:
            self._waiting.clear()
            self._urgent.clear()
        return batch

    async def _commit(self, batch: list[FinishedRecord]) -> None:
        """Commit a batch, in parts where it is refused as a whole or takes too long; each part moves the progress."""
        if not batch and not self._progress.is_ahead:
            return  # the commit before has taken the position along
        parts = deque([batch])
        while parts:
            part, *rest = within(parts.popleft(), self._size.max_bytes) or [[]]  # the position alone
            parts.extendleft(rest)
            try:
                await self._commit_as_one(part)
            except OutcomesRefusedError as refusal:
                parts.extendleft(reversed(await self._around(part, refusal)))
            except CommitTimedOutError:
                parts.appendleft(part)  # smaller ones are made of it

    async def _commit_as_one(self, part: Sequence[FinishedRecord]) -> None:
        """Commit a part as a whole; raises what is known not to have happened and is to be tried in other parts."""
        offsets = [each.offset for each in part]
        records = [record for each in part for record in each.resolution.outcomes]
        plan = self._progress.plan(offsets)
        with committing([each.span for each in records], partition=self._name, records=len(offsets)):
            failures = 0
            while True:
                try:
                    await self._write(records, plan, size_bytes=published(part))
                    break
                except CommitUnknownError as error:
                    self._log.warning("commit.unknown", error=error, failures=failures, records=len(records))
                    if await self._settle(plan):
                        break
                    if not await self._is_outage(error):
                        failures += 1
                        self._raise_if_in_vain(error, part, failures)
        self._progress.apply(plan, offsets)
        self._hold(-sum(each.held_bytes for each in part))
        self._shared.on_committed(self._partition, part)
        self._shared.changed.set()

    async def _is_outage(self, error: CommitUnknownError) -> bool:
        """Return whether a commit failed because topics take nothing at the moment, and can be repeated."""
        outage = await self._shared.find_outage() if isinstance(error, CommitTimedOutError) else None
        if outage:
            self._log.warning("commit.waits_for_brokers", outage=outage)
        return bool(outage)

    def _raise_if_in_vain(self, error: CommitUnknownError, part: Sequence[FinishedRecord], failures: int) -> None:
        """Raise the error of a commit that would fail in the same way if it were tried again as it is."""
        if isinstance(error, OutcomesRefusedError):
            raise error
        if isinstance(error, CommitTimedOutError) and self._size.timed_out(published(part)) and len(part) > 1:
            raise error
        if failures == _MAX_REFUSALS:
            raise CommitRefusedError(partition=self._name, attempts=failures, detail=str(error)) from error

    async def _around(self, part: list[FinishedRecord], refusal: OutcomesRefusedError) -> list[list[FinishedRecord]]:
        """Return in which parts to commit a refused one: what cannot fit is replaced, the others go on in order."""
        topic, limits = refusal.topic, self._shared.limits
        is_known = await limits.learn(topic, refused_bytes=refusal.size_bytes, records=len(refusal.records))
        # Of this topic alone: a replacement for another topic's sake would change nothing here, again and again.
        misfits = [each for each in part if not limits.fits(topic, each.resolution.outcomes)]
        if is_known and misfits:
            for each in misfits:
                self._replace(each, refusal)
            return [part]
        if len(part) == 1:
            self._replace(part[0], refusal)
            return [part]
        return around(part, refusal.records)

    def _replace(self, record: FinishedRecord, refusal: OutcomesRefusedError) -> None:
        """Have a record's outcomes replaced by smaller ones, and count those instead."""
        held_bytes = record.held_bytes
        record.replace_outcomes(refusal)
        self._hold(record.held_bytes - held_bytes)

    async def _write(self, records: Sequence[OutgoingRecord], plan: Progress, *, size_bytes: int) -> None:
        began_s, result = time.perf_counter(), _FAILED
        try:
            await self._writer.commit(records, plan)
            result = _COMMITTED
        finally:
            took_s = time.perf_counter() - began_s
            COMMIT_DURATION.record(took_s, result)
        self._size.committed(size_bytes, took_s=took_s)

    async def _settle(self, plan: Progress) -> bool:
        """Learn whether a commit happened, for as long as the partition is ours."""
        happened = await until_answered(partial(self._settle_once, plan), event="commit.unsettled")
        self._log.info("commit.settled", happened=happened)
        return happened

    async def _settle_once(self, plan: Progress) -> bool:
        if self._closing:
            raise PartitionLostError
        return await self._writer.settle(attempted=plan, committed=self._progress.committed)
