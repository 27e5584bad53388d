"""Parquet files of an archive: how rows are written."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from service.tools.evaluation.stored.archive_store import ArchiveStore
from service.tools.evaluation.stored.spool import room_for_rows

_STATISTICS = ("image_id", "moderated_at", "tagged_at", "failed_at", "decision", "source_offset")
"""Columns by which a reader may leave row groups out; statistics of every score would take more than the scores."""
_ROW_GROUP_ROWS = 65_536
"""As many as DuckDB gives a thread at a time; of 1 KB each in memory."""


def write_rows(store: ArchiveStore, name: str, rows: pa.Table) -> None:
    """Write a file; it appears whole, and over one of the same name. The metadata of the table is the file's."""
    write_tables(store, name, rows.schema, [rows])


def write_tables(store: ArchiveStore, name: str, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Write the rows of several tables with the same columns as `write_rows` does; one at a time is in memory."""
    statistics = [column for column in _STATISTICS if column in schema.names]
    texts = [field.name for field in schema if pa.types.is_string(field.type)]  # scores hardly ever repeat
    with tempfile.TemporaryDirectory(prefix="modstream-archive-") as temporary:
        path = Path(temporary, "rows.parquet")
        with (
            room_for_rows(path.parent),
            pq.ParquetWriter(
                path, schema, compression="zstd", use_dictionary=texts, write_statistics=statistics
            ) as writer,
        ):
            for rows in _row_groups(tables):
                writer.write_table(rows, row_group_size=_ROW_GROUP_ROWS)
        store.put(name, path)


def _row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield tables of a row group at least, but for the last one."""
    waiting: list[pa.Table] = []
    for rows in tables:
        waiting.append(rows)
        if sum(each.num_rows for each in waiting) >= _ROW_GROUP_ROWS:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)
