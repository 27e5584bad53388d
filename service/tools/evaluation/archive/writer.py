"""Writes flushes into an archive, so that every committed record is in it exactly once, whatever ends the process.

1. A flush takes the next number: its plan (`archive_flush`) is created under a name that only one process can take.
   The plan names the offsets of every partition, and every file.
2. Its files are written, each whole: under a temporary name, to disk, renamed; on S3 by one request.
3. Tombstones that were added meanwhile are applied to its files.

A process that starts reads the newest plan. If a file of it is missing, the process was ended between the steps: the
same offsets are read again, and what is missing is written. Then the next flush begins where the plan ends. Because
the number of a flush is its claim, a second process that writes to the same archive is noticed at its next flush, and
so is a process that was suspended for hours.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import pyarrow as pa
from pydantic import ValidationError

from service.tools.evaluation.archive.flush import Flush, TopicOffsets
from service.tools.evaluation.archive.forgotten import Forgotten, forget_rows
from service.tools.evaluation.archive.row_files import write_rows
from service.tools.evaluation.archive.rows import empty_rows
from service.tools.evaluation.stored.archive_errors import ArchiveDamagedError, ArchiverReplacedError
from service.tools.evaluation.stored.archive_identity import begin, file_with, identity_of
from service.tools.evaluation.stored.archive_layout import (
    FLUSH_KEY,
    FLUSHES,
    TABLES,
    VERSION,
    VERSION_KEY,
    flush_name,
    rows_name,
)
from service.tools.evaluation.stored.archive_store import ArchiveStore

_KEPT_PLANS = 100
"""The newest is needed; the others show what happened lately."""


class ArchiveWriter:
    """Writes to one archive; `open_writer` makes it."""

    def __init__(self, store: ArchiveStore, forgotten: Forgotten, newest: Flush | None) -> None:
        self._store = store
        self._newest = newest
        self.forgotten = forgotten

    @property
    def newest(self) -> Flush | None:
        """The plan of the newest flush."""
        return self._newest

    def unfinished(self) -> Sequence[str]:
        """Return the files that are missing of the newest flush."""
        if self._newest is None:
            return ()
        folders = {name.rpartition("/")[0] for name in self._newest.files}
        there = {name for folder in folders for name in self._store.names(f"{folder}/")}
        return [name for name in self._newest.files if name not in there]

    def finish(self, files: Iterable[tuple[str, pa.Table]]) -> int:
        """Write what is missing of the newest flush, from the rows of its offsets; return how many files got none.

        These are files whose records the brokers have deleted meanwhile, or whose images were forgotten.
        """
        missing = set(self.unfinished())
        if self._newest is None or not missing:
            return 0
        for folder, rows in files:
            if (name := rows_name(folder, self._newest.number)) in missing:
                self._write(self._newest, name, rows)
                missing.discard(name)
        for name in missing:
            self._write(self._newest, name, empty_rows(name.partition("/")[0]))
        return len(missing)

    def flush(
        self, topics: dict[str, TopicOffsets], folders: Iterable[str], files: Iterable[tuple[str, pa.Table]]
    ) -> None:
        """Write rows as the next flush; raise `ArchiverReplacedError` if another process has taken its number."""
        number = self._newest.number + 1 if self._newest else 1
        names = tuple(rows_name(folder, number) for folder in folders)
        plan = Flush(number=number, planned_at=datetime.now(UTC), topics=self._carried(topics) | topics, files=names)
        self._claim(plan)
        self._newest = plan
        for folder, rows in files:
            self._write(plan, rows_name(folder, number), rows)
        self.apply_tombstones(self.forgotten.refresh())
        self._delete_old_plans()

    def apply_tombstones(self, folders: frozenset[str]) -> None:
        """Rewrite files of the newest flush in some tenants' folders without forgotten images."""
        files = self._newest.files if self._newest else ()
        forget_rows(self._store, self.forgotten, lambda: files, folders=folders)

    def replace(self, name: str, rows: pa.Table) -> None:
        """Write other rows into a file of the newest flush."""
        if self._newest is not None:
            self._write(self._newest, name, rows)

    def _carried(self, topics: Mapping[str, TopicOffsets]) -> dict[str, TopicOffsets]:
        """Return where topics of earlier flushes end: the settings may name them again."""
        before = self._newest.topics if self._newest else {}
        return {
            name: TopicOffsets(topic_id=offsets.topic_id, start=offsets.end, end=offsets.end)
            for name, offsets in before.items()
            if name not in topics
        }

    def _claim(self, plan: Flush) -> None:
        name = flush_name(plan.number)
        with file_with(plan.model_dump_json().encode()) as path:
            is_ours = self._store.create(name, path)
        # A process that was suspended may find its number free again, because old plans are deleted.
        if is_ours and max(_plan_numbers(self._store)) > plan.number:
            self._store.delete(name)
            is_ours = False
        if not is_ours:
            raise ArchiverReplacedError(place=self._store.place, number=plan.number)

    def _write(self, plan: Flush, name: str, rows: pa.Table) -> None:
        about = plan.model_dump_json(exclude={"files"}).encode()
        write_rows(self._store, name, rows.replace_schema_metadata({VERSION_KEY: VERSION, FLUSH_KEY: about}))

    def _delete_old_plans(self) -> None:
        for number in sorted(_plan_numbers(self._store))[:-_KEPT_PLANS]:
            self._store.delete(flush_name(number))


def open_writer(store: ArchiveStore) -> ArchiveWriter:
    """Continue an archive, or begin one.

    Raises `ArchiveVersionError`, `ArchiveDamagedError` or `ArchiveUnreachableError`.
    """
    identity = identity_of(store) or begin(store)
    store.sweep()
    newest = _newest(store)
    forgotten = Forgotten(store, identity.salt)
    writer = ArchiveWriter(store, forgotten, newest)
    forgotten.refresh()
    return writer


def _newest(store: ArchiveStore) -> Flush | None:
    number = max(_plan_numbers(store), default=None)
    if number is None:
        if next((name for table in TABLES for name in store.names(f"{table}/")), None) is not None:
            raise ArchiveDamagedError(place=store.place, detail=f"it has rows and no plan in {FLUSHES}")
        return None
    name = flush_name(number)
    try:
        plan = Flush.model_validate_json(store.read(name) or b"")
    except ValidationError as error:
        raise ArchiveDamagedError(place=store.place, detail=f"{name} is no plan of a flush") from error
    if plan.number != number:
        raise ArchiveDamagedError(place=store.place, detail=f"{name} is the plan of flush {plan.number}")
    return plan


def _plan_numbers(store: ArchiveStore) -> Sequence[int]:
    numbers = (name.rpartition("/")[2].partition(".")[0] for name in store.names(FLUSHES))
    return [int(number) for number in numbers if number.isdecimal()]
