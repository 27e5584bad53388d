"""Verdicts from anywhere into temporary Parquet files, which DuckDB reads without holding them in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from service.tools.evaluation.stored.columns import (
    MAX_OWN_CATEGORIES,
    NotAVerdictError,
    Row,
    own_categories_of,
    row_of,
    verdict_schema,
)
from service.tools.evaluation.stored.errors import (
    NoRoomForVerdictsError,
    TooManyCategoriesError,
    VerdictUnreadableError,
)

_BATCH_ROWS = 4_096
"""Rows are Python's objects before they are a batch, at some 8 KB each."""
_ROW_GROUP_ROWS = 65_536
"""Of a batch's 1 KB each: what DuckDB gives a thread at a time."""


@contextmanager
def room_for_rows(folder: Path) -> Iterator[None]:
    """Raise `NoRoomForVerdictsError` where a folder for temporary files is full."""
    try:
        yield
    except OSError as error:
        raise NoRoomForVerdictsError(folder=folder.parent, detail=error.strerror or error) from error


class VerdictSpool:
    """Writes verdicts to files in a folder; a category that is met for the first time begins a new file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: pq.ParquetWriter | None = None
        self._rows: list[Row] = []
        self._batches: list[pa.RecordBatch] = []
        self._categories: frozenset[str] = frozenset()
        self._columns = frozenset(verdict_schema().names)
        self.files: list[Path] = []
        """Complete at the end of the block."""

    def __enter__(self) -> "VerdictSpool":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._end_batch()
        self._end_file()

    def add(self, place: str, document: object) -> None:
        """Add a verdict; raise `VerdictUnreadableError` with its place if it is none, or `TooManyCategoriesError`."""
        try:
            row = row_of(document)
        except NotAVerdictError as error:
            raise VerdictUnreadableError(place=place, detail=str(error)) from None
        if not row.keys() <= self._columns:
            self._end_batch()
            self._end_file()
            self._take(own_categories_of(row), place)
        self._rows.append(row)
        if len(self._rows) == _BATCH_ROWS:
            self._end_batch()

    def _take(self, new: frozenset[str], place: str) -> None:
        self._categories |= new
        self._columns = frozenset(verdict_schema(self._categories).names)
        found = len(self._categories)
        if found > MAX_OWN_CATEGORIES:
            raise TooManyCategoriesError(place=place, found=found, limit=MAX_OWN_CATEGORIES)

    def _end_batch(self) -> None:
        if self._rows:
            self._batches.append(pa.RecordBatch.from_pylist(self._rows, schema=verdict_schema(self._categories)))
            self._rows.clear()
        if len(self._batches) * _BATCH_ROWS >= _ROW_GROUP_ROWS:
            self._write_row_group()

    def _write_row_group(self) -> None:
        if self._batches:
            with room_for_rows(self._folder):
                self._write_batches()

    def _write_batches(self) -> None:
        if self._writer is None:
            path = self._folder / f"{len(self.files)}.parquet"
            self._writer = pq.ParquetWriter(path, self._batches[0].schema, compression="snappy")
            self.files.append(path)
        self._writer.write_table(pa.Table.from_batches(self._batches), row_group_size=_ROW_GROUP_ROWS)
        self._batches.clear()

    def _end_file(self) -> None:
        self._write_row_group()
        if self._writer is not None:
            with room_for_rows(self._folder):
                self._writer.close()
            self._writer = None
