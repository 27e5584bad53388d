"""Rows that wait for the next flush, as Arrow batches: bounded in bytes, in files, and in columns."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from service.core.records import SourceRecord
from service.settings.delivery import TopicSettings
from service.tools.evaluation.archive.rows import TABLES_WITH_CATEGORIES, ArchivedRow, archived_row, schema_of
from service.tools.evaluation.stored.archive_layout import TABLES, Table
from service.tools.evaluation.stored.columns import MAX_OWN_CATEGORIES, NotAVerdictError, own_categories_of

MAX_FILES = 500
"""Of one flush: days and tenants are texts that others choose."""
_BATCH_ROWS = 512
"""Rows are Python's objects before they are a batch, at some 8 KB each."""
_FOLDER = "__folder"

IsForgotten = Callable[[ArchivedRow], bool]


class ArchiveBuffer:
    """Takes records, and gives the rows of each file of a flush."""

    def __init__(self, topics: TopicSettings, is_forgotten: IsForgotten) -> None:
        self._topics = topics
        self._is_forgotten = is_forgotten
        self._rows: dict[Table, list[ArchivedRow]] = {table: [] for table in TABLES}
        self._batches: dict[Table, list[pa.Table]] = {table: [] for table in TABLES}
        self._folders: set[str] = set()
        self._categories: frozenset[str] = frozenset()
        self.bytes = 0
        """Of complete batches."""
        self.counts: Counter[str] = Counter()
        """Rows by table, and `skipped` and `forgotten` records."""
        self.first_skipped = ""
        """The first record that is no outcome of version 1, and what is wrong with it."""

    def is_full(self, max_bytes: int) -> bool:
        """Return whether it is time for a flush."""
        too_wide = len(self._categories) >= MAX_OWN_CATEGORIES
        return self.bytes >= max_bytes or len(self._folders) >= MAX_FILES or too_wide

    def add(self, records: Iterable[SourceRecord]) -> None:
        """Add the rows of records; what is no outcome of version 1 is counted, not kept."""
        for record in records:
            try:
                row = archived_row(record, self._topics)
            except NotAVerdictError as error:
                self.counts["skipped"] += 1
                self.first_skipped = self.first_skipped or f"{record.topic} {record.partition}:{record.offset}: {error}"
                continue
            if self._is_forgotten(row):
                self.counts["forgotten"] += 1
                continue
            self._add(row)

    def _add(self, row: ArchivedRow) -> None:
        self.counts[row.table] += 1
        self._folders.add(row.folder)
        if row.table in TABLES_WITH_CATEGORIES:
            self._categories |= own_categories_of(row.row)
        self._rows[row.table].append(row)
        if len(self._rows[row.table]) == _BATCH_ROWS:
            self._end_batch(row.table)

    def _end_batch(self, table: Table) -> None:
        rows = self._rows[table]
        if not rows:
            return
        columns = [row.row for row in rows]
        batch = pa.Table.from_pylist(columns, schema=schema_of(table, columns))
        batch = batch.append_column(_FOLDER, pa.array([row.folder for row in rows], pa.string()))
        self._batches[table].append(batch)
        self.bytes += batch.nbytes
        rows.clear()

    @property
    def folders(self) -> Iterable[str]:
        """The folders that rows belong to, each of which gets one file."""
        return sorted(self._folders)

    def files(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield each folder with its rows, in the order in which they came."""
        for table in TABLES:
            self._end_batch(table)
            if self._batches[table]:
                whole = pa.concat_tables(self._batches[table], promote_options="default")
                for folder in pc.unique(whole[_FOLDER]).to_pylist():
                    yield folder, whole.filter(pc.equal(whole[_FOLDER], folder)).drop_columns(_FOLDER)


def summary_of(counts: Mapping[str, int]) -> str:
    """Return counts as words."""
    kept = ", ".join(f"{counts.get(table, 0):,} {table.replace('_', ' ')}" for table in TABLES)
    left = ", ".join(f"{counts[name]:,} {name}" for name in ("forgotten", "skipped") if counts.get(name))
    return f"{kept}; {left}" if left else kept
