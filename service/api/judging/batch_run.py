"""One batch: lines in, outcomes out, with a bounded number of lines and bytes between the two."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from pydantic import BaseModel

from service.api.errors import ApiError
from service.api.judging.batch_lines import Line
from service.api.judging.batch_models import BatchOutcome, BatchProgress, BatchSummary, Order
from service.api.models import ErrorDetail

Write = Callable[[BaseModel], Awaitable[None]]
"""Sends one line of the answer; returns when the client has room for more."""


class Judge(Protocol):
    """What gives lines their outcomes."""

    async def admit(self) -> None:
        """Return when the next line may be judged; raises `ApiError` when no further line may."""
        ...

    async def judge(self, line: Line) -> BatchOutcome:
        """Return the outcome of a line, with an error where there is none."""
        ...


class LineRoom:
    """Bounds the lines that are read and not answered. One line alone may have any size."""

    def __init__(self, max_lines: int, max_bytes: int) -> None:
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._left = asyncio.Event()
        self.lines = 0
        self.bytes = 0

    async def enter(self, size_bytes: int) -> None:
        """Return when there is room for one more line; one caller at a time may wait."""
        while self.lines and (self.lines >= self._max_lines or self.bytes + size_bytes > self._max_bytes):
            self._left.clear()
            await self._left.wait()
        self.lines += 1
        self.bytes += size_bytes

    def leave(self, size_bytes: int) -> None:
        """Give the room of one line back."""
        self.lines -= 1
        self.bytes -= size_bytes
        self._left.set()


class Outbox:
    """Outcomes that wait to be sent: in the order of their lines, or as they come."""

    def __init__(self, order: Order) -> None:
        self._in_order = order == "input"
        self._items: dict[int, tuple[BatchOutcome, int]] = {}
        self._next = 0

    def put(self, sequence: int, outcome: BatchOutcome, size_bytes: int) -> None:
        """Add the outcome of the line with a sequence number, counted from 0, and the size of the line."""
        self._items[sequence] = outcome, size_bytes

    def take(self) -> tuple[BatchOutcome, int] | None:
        """Remove and return what is to be sent next; None if that is not there yet."""
        if not self._in_order and self._items:
            return self._items.pop(next(iter(self._items)))
        found = self._items.pop(self._next, None)
        self._next += found is not None
        return found


class BatchRun:
    """Reads the lines of one batch, has them judged side by side, and writes their outcomes."""

    def __init__(
        self,
        judge: Judge,
        room: LineRoom,
        write: Write,
        *,
        order: Order,
        progress_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`progress_s` is the time between two lines of progress; None for none."""
        self._judge = judge
        self._room = room
        self._write = write
        self._outbox = Outbox(order)
        self._progress_s = progress_s
        self._clock = clock
        self._began_s = self._progressed_s = clock()
        self._changed = asyncio.Event()
        self._is_read = False
        self._fault: ApiError | None = None
        self._lines = 0
        self._written = 0
        self._decisions: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()

    async def run(self, lines: AsyncIterator[Line]) -> None:
        """Return once the summary is written; `lines` may raise `ApiError`, which ends the reading.

        A cancellation, or an error of `write`, cancels all work on the batch.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(lines, group))
            await self._write_outcomes()
        await self._write(BatchSummary(**self._totals(), is_complete=self._fault is None, error=_detail(self._fault)))

    async def _read(self, lines: AsyncIterator[Line], group: asyncio.TaskGroup) -> None:
        try:
            async for line in lines:
                await self._room.enter(line.size_bytes)
                await self._judge.admit()
                group.create_task(self._answer(self._lines, line))
                self._lines += 1
        except ApiError as error:
            self._fault = error
        self._is_read = True
        self._changed.set()

    async def _answer(self, sequence: int, line: Line) -> None:
        self._outbox.put(sequence, await self._judge.judge(line), line.size_bytes)
        self._changed.set()

    async def _write_outcomes(self) -> None:
        while not self._is_read or self._written < self._lines:
            if (wait_s := self._until_progress_s()) is not None and wait_s <= 0:
                await self._write(BatchProgress(**self._totals()))
                self._progressed_s = self._clock()
            elif (found := self._outbox.take()) is not None:
                await self._write_outcome(*found)
            else:
                await self._wait(wait_s)

    def _until_progress_s(self) -> float | None:
        return None if self._progress_s is None else self._progressed_s + self._progress_s - self._clock()

    async def _wait(self, timeout_s: float | None) -> None:
        """Wait for an outcome or the end of the lines, or so many seconds."""
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _write_outcome(self, outcome: BatchOutcome, size_bytes: int) -> None:
        if outcome.verdict is not None:
            self._decisions[outcome.verdict.decision] += 1
        if outcome.error is not None:
            self._errors[outcome.error.code or ""] += 1
        await self._write(outcome)
        self._written += 1
        self._room.leave(size_bytes)

    def _totals(self) -> dict[str, object]:
        return {
            "lines": self._lines,
            "outcomes": self._written,
            "decisions": dict(self._decisions),
            "errors": dict(self._errors),
            "elapsed_s": round(self._clock() - self._began_s, 3),
        }


def _detail(error: ApiError | None) -> ErrorDetail | None:
    return None if error is None else ErrorDetail.model_validate(error.document()["error"])
