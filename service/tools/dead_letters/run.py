"""Applies an action to the selected dead letters, in batches with their journal entries, or as a dry run."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from service.core.records import OutgoingRecord
from service.kafka.publisher import record_bytes
from service.tools.dead_letters.dead_letter import StoredDeadLetter, read_dead_letter
from service.tools.dead_letters.filters import DeadLetterFilter
from service.tools.dead_letters.journal import Marks
from service.tools.dead_letters.rate_limit import MAX_BATCH, Pace
from service.tools.dead_letters.store import DeadLetterStore, JournalWriter, Snapshot

MAX_BATCH_BYTES = 4 * 1024 * 1024
"""Of one transaction: brokers take as much in far less than `commit.timeout_s`."""

MAX_REFUSED_SHOWN = 20
"""Refused dead letters that are kept to be shown; all are counted."""


class Action(Protocol):
    """An action on a dead letter."""

    @property
    def journal(self) -> str:
        """The topic of the journal."""
        ...

    def refusal(self, dead_letter: StoredDeadLetter) -> str:
        """Return the reason why the action is not possible; empty if it is."""
        ...

    def records(self, dead_letter: StoredDeadLetter) -> tuple[OutgoingRecord, ...]:
        """Return the records to publish for a dead letter, including the journal's."""
        ...


@dataclass
class RunResult:
    """The counts of a run: done, and refused by reason."""

    done: int = 0
    """On paper: how many would be."""
    done_before: int = 0
    """Meant, but dealt with earlier."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Of those that are done."""
    redrives: Counter[int] = field(default_factory=Counter)
    """How often those had been sent back before."""
    refused: int = 0
    refused_shown: list[tuple[StoredDeadLetter, str]] = field(default_factory=list)
    limit_reached: bool = False


Progress: TypeAlias = Callable[[Snapshot, RunResult], None]
"""Called after each step."""


class Run:
    """One run over the dead letters."""

    def __init__(
        self,
        action: Action,
        wanted: DeadLetterFilter,
        marks: Marks,
        result: RunResult,
        *,
        journal_writer: JournalWriter | None = None,
        pace: Pace,
        limit: int | None,
        on_progress: Progress,
    ) -> None:
        self._action = action
        self._wanted = wanted
        self._marks = marks
        self._journal_writer = journal_writer
        self._pace = pace
        self._limit = limit
        self._on_progress = on_progress
        self._batch: list[StoredDeadLetter] = []
        self._batch_bytes = 0
        self._result = result

    async def run(self, snapshot: Snapshot) -> None:
        """Apply the action to the selected dead letters."""
        async for records in snapshot.batches():
            for dead_letter in self._to_do(map(read_dead_letter, records)):
                self._batch.append(dead_letter)
                self._batch_bytes += sum(map(record_bytes, self._action.records(dead_letter)))
                if len(self._batch) >= self._pace.batch or self._batch_bytes >= MAX_BATCH_BYTES:
                    await self._finish_batch()
                    self._on_progress(snapshot, self._result)
            self._on_progress(snapshot, self._result)
            if self._result.limit_reached:
                break
        await self._finish_batch()
        self._on_progress(snapshot, self._result)

    def _to_do(self, dead_letters: Iterable[StoredDeadLetter]) -> Iterator[StoredDeadLetter]:
        for dead_letter in dead_letters:
            if not self._wanted.matches(dead_letter):
                continue
            if self._marks.of(dead_letter):
                self._result.done_before += 1
            elif refusal := self._action.refusal(dead_letter):
                self._refuse(dead_letter, refusal)
            elif self._limit is not None and self._result.done + len(self._batch) >= self._limit:
                self._result.limit_reached = True
                return
            else:
                yield dead_letter

    def _refuse(self, dead_letter: StoredDeadLetter, why: str) -> None:
        self._result.refused += 1
        if len(self._result.refused_shown) < MAX_REFUSED_SHOWN:
            self._result.refused_shown.append((dead_letter, why))

    async def _finish_batch(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if not batch:
            return
        if self._journal_writer is not None:
            await self._pace.wait(len(batch))
            await self._journal_writer.commit(
                [record for dead_letter in batch for record in self._action.records(dead_letter)]
            )
        self._result.done += len(batch)
        self._result.reasons.update(dead_letter.reason for dead_letter in batch)
        self._result.redrives.update(dead_letter.redrives for dead_letter in batch)


async def carry_out(
    store: DeadLetterStore,
    action: Action,
    wanted: DeadLetterFilter,
    result: RunResult,
    *,
    execute: bool,
    pace: Pace,
    limit: int | None = None,
    on_progress: Progress = lambda _snapshot, _result: None,
) -> None:
    """Do it, or find out what would be done; what is new among the dead letters meanwhile is left for another time.

    Raises the stream's errors, and those of the journal; `result` says how far it came.
    """
    if not execute:
        marks = await store.marks()
        async with store.read(wanted) as snapshot:
            await Run(action, wanted, marks, result, pace=pace, limit=limit, on_progress=on_progress).run(snapshot)
        return
    async with store.take_over() as journal_writer, store.read(wanted) as snapshot:
        await _forget_outlived(journal_writer, snapshot, action.journal)
        work = Run(
            action,
            wanted,
            journal_writer.marks,
            result,
            journal_writer=journal_writer,
            pace=pace,
            limit=limit,
            on_progress=on_progress,
        )
        await work.run(snapshot)


async def _forget_outlived(journal_writer: JournalWriter, snapshot: Snapshot, journal: str) -> None:
    """Take marks out of the journal whose dead letters the brokers have deleted, so that it does not grow for ever."""
    outlived = journal_writer.marks.outlived(journal, snapshot.beginnings)
    for start in range(0, len(outlived), MAX_BATCH):
        await journal_writer.commit(outlived[start : start + MAX_BATCH])
