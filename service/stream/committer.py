"""Commits one partition's outcomes together with its progress, batch by batch, each exactly once."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import structlog

from service.stream.backoff import until_answered
from service.stream.errors import CommitRefusedError, CommitUnknownError, PartitionLostError
from service.stream.offsets import PartitionProgress, Progress
from service.stream.pace import CommitPace
from service.stream.records import OutgoingRecord
from service.telemetry import labels
from service.telemetry.commit_trace import committing
from service.telemetry.instruments import COMMIT_DURATION

log = structlog.get_logger(__name__)

_MAX_REFUSALS = 5
"""Commits of one batch that fail although the brokers answer in between: then it is the batch, not the weather."""


_MAX_BATCHES = 4
"""Of outcomes that may wait while a commit takes its time: with two, fast handlers stood still behind slow commits."""


_HASTE = 0.5
"""Share of the interval after which a commit waits no longer if nothing that it could take along is under way."""


_COMMITTED = {labels.RESULT: "committed"}
_FAILED = {labels.RESULT: "failed"}


class OutcomeWriter(Protocol):
    """Writes outcomes and progress of one partition as one."""

    async def open(self) -> Progress:
        """Become the partition's only writer, then return its stored progress; raises `CommitUnknownError`."""
        ...

    async def commit(self, records: Sequence[OutgoingRecord], progress: Progress) -> None:
        """Publish and store; raises `CommitUnknownError` when that may or may not have happened."""
        ...

    async def settle(self, *, attempted: Progress, committed: Progress) -> bool:
        """Tell whether a commit of unknown fate happened, ready for the next; raises `PartitionLostError` too."""
        ...

    async def close(self) -> None:
        """Let go of the partition."""
        ...


class PartitionCommitter:
    """Gathers finished records and commits them: the next batch gathers while one commits."""

    def __init__(
        self,
        writer: OutcomeWriter,
        progress: PartitionProgress,
        *,
        max_outcomes: int,
        pace: CommitPace,
        name: str,
        on_committed: Callable[[Sequence[int]], None],
    ) -> None:
        self._writer = writer
        self._progress = progress
        self._max_outcomes = max_outcomes
        self._pace = pace
        self._name = name
        self._log = log.bind(partition=name)
        self._on_committed = on_committed
        self._offsets: list[int] = []
        self._records: list[OutgoingRecord] = []
        self._closing = False
        self._is_position_due = False
        self._is_hasty = False
        self._waiting = asyncio.Event()  # something is to be committed, or it is time to close
        self._urgent = asyncio.Event()  # enough is to be committed to do it now, or it is time to close
        self._room = asyncio.Event()
        self._room.set()

    def submit(self, offset: int, outcomes: Sequence[OutgoingRecord]) -> None:
        """Take over a finished record; ignored once closed, when the partition's next owner takes it on."""
        if self._closing:
            return
        self._offsets.append(offset)
        self._records.extend(outcomes)
        self._waiting.set()
        if self._is_hasty and self._is_alone:
            self._urgent.set()
        if len(self._offsets) >= self._max_outcomes:
            self._urgent.set()
            if len(self._offsets) >= _MAX_BATCHES * self._max_outcomes:
                self._room.clear()

    def commit_position(self) -> None:
        """Commit how far the partition was read, although no record is to be committed with it."""
        self._is_position_due = True
        self._waiting.set()

    @property
    def has_room(self) -> bool:
        """Whether fewer than several batches are waiting."""
        return self._room.is_set()

    async def room(self) -> None:
        """Wait while several batches are waiting: outcomes must not pile up when brokers are slow."""
        await self._room.wait()

    def close(self) -> None:
        """Let `run` end after what was submitted so far."""
        self._closing = True
        self._waiting.set()
        self._urgent.set()
        self._room.set()

    async def run(self) -> None:
        """Commit until closed; raises `PartitionLostError` when another owner took over, and fatal errors."""
        loop = asyncio.get_running_loop()
        began_s, interval_s = loop.time(), 0.0  # after a quiet time the first outcome does not wait
        while await self._batch_due(began_s, interval_s):
            began_s, interval_s = loop.time(), self._pace.interval_s(self._name)
            offsets, records = self._take()
            with committing([each.span for each in records], partition=self._name, records=len(offsets)):
                await self._commit(offsets, records)

    async def _batch_due(self, began_s: float, interval_s: float) -> bool:
        """Wait for something to commit and for its time; False when closed and all is done."""
        await self._waiting.wait()
        await self._until_urgent(began_s + _HASTE * interval_s)
        self._is_hasty = True
        if not self._is_alone:
            await self._until_urgent(began_s + interval_s)
        self._is_hasty = False
        return bool(self._offsets) or self._is_position_due

    async def _until_urgent(self, latest_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(latest_s):
                await self._urgent.wait()

    @property
    def _is_alone(self) -> bool:
        """Whether all that was delivered is finished: to wait for more would only make these late."""
        return self._progress.unfinished <= len(self._offsets)

    def _take(self) -> tuple[list[int], list[OutgoingRecord]]:
        batch = self._offsets, self._records
        self._offsets, self._records = [], []
        self._is_position_due = False
        self._room.set()
        if not self._closing:
            self._waiting.clear()
            self._urgent.clear()
        return batch

    async def _commit(self, offsets: list[int], records: list[OutgoingRecord]) -> None:
        plan = self._progress.plan(offsets)
        for attempt in range(1, _MAX_REFUSALS + 1):
            try:
                await self._write(records, plan)
                break
            except CommitUnknownError as error:
                self._log.warning("commit.unknown", error=error, attempt=attempt, records=len(records))
                if await self._settle(plan):
                    break
                if attempt == _MAX_REFUSALS:
                    raise CommitRefusedError(partition=self._name, attempts=attempt, detail=str(error)) from error
        self._progress.apply(plan, offsets)
        self._on_committed(offsets)

    async def _write(self, records: Sequence[OutgoingRecord], plan: Progress) -> None:
        began_s, result = time.perf_counter(), _FAILED
        try:
            await self._writer.commit(records, plan)
            result = _COMMITTED
        finally:
            COMMIT_DURATION.record(time.perf_counter() - began_s, result)

    async def _settle(self, plan: Progress) -> bool:
        """Learn whether a commit happened, for as long as the partition is ours."""
        happened = await until_answered(partial(self._settle_once, plan), event="commit.unsettled")
        self._log.info("commit.settled", happened=happened)
        return happened

    async def _settle_once(self, plan: Progress) -> bool:
        if self._closing:
            raise PartitionLostError
        return await self._writer.settle(attempted=plan, committed=self._progress.committed)
