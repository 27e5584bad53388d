"""Merges the small files of an archive, so that reading takes time for rows and not for files.

A merged file names the flushes that it holds, and files that lie within it are superseded. It is written first, and
then they are deleted. If the process ends between, modstream's reader leaves them out, and the next compaction deletes
them, after it has applied all tombstones to the merged file; other programs that read all files see their rows twice
until then.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from service.tools.evaluation.archive.forgotten import forget_rows
from service.tools.evaluation.archive.retention import known_archive
from service.tools.evaluation.archive.row_files import write_tables
from service.tools.evaluation.archive.writer import ArchiveWriter, open_writer
from service.tools.evaluation.stored.archive_layout import (
    TABLES,
    VERSION,
    VERSION_KEY,
    by_folder,
    flushes_in,
    merged_name,
    superseded,
)
from service.tools.evaluation.stored.archive_store import ArchiveStore

_MAX_BYTES = 256 * 1024 * 1024
"""Of files that are merged into one."""


def compact(store: ArchiveStore, *, on_file: Callable[[str], None] = lambda name: None) -> tuple[int, int]:
    """Merge the files of every folder; return how many files were replaced, and by how many.

    Files of the newest flush stay, because an archiver may be writing them. An archiver may run meanwhile.
    """
    known_archive(store)
    writer, replaced, written = open_writer(store), 0, 0
    before = writer.newest.number if writer.newest else 0
    for table in TABLES:
        for folder, files in by_folder(list(store.names(f"{table}/"))).items():
            double = superseded(files)
            left = [name for name in files if name not in double and flushes_in(name)[1] < before]
            if double:
                # The compaction that ended early may have read rows before they were forgotten in these files.
                forget_rows(store, writer.forgotten, partial(list, left), folders=writer.forgotten.folders)
            for name in double:
                store.delete(name)
            for merged in _merge(store, writer, folder, left):
                on_file(folder)
                replaced, written = replaced + len(merged), written + 1
    return replaced, written


def _merge(store: ArchiveStore, writer: ArchiveWriter, folder: str, names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Merge the files of one folder, and yield the names that each merged file replaces."""
    with tempfile.TemporaryDirectory(prefix="modstream-archive-") as temporary:
        for group in _groups(store, names, Path(temporary)):
            replaced = list(group)
            target = merged_name(folder, flushes_in(replaced[0])[0], flushes_in(replaced[-1])[1])
            schema = pa.unify_schemas([pq.read_schema(path).remove_metadata() for path in group.values()])
            schema = schema.with_metadata({VERSION_KEY: VERSION})
            write_tables(store, target, schema, _rows(list(group.values()), schema))
            writer.forgotten.refresh()
            forget_rows(store, writer.forgotten, partial(list, [target]), folders=writer.forgotten.folders)
            for name in replaced:
                store.delete(name)
            for path in Path(temporary).iterdir():
                path.unlink()
            yield replaced


def _groups(store: ArchiveStore, names: Sequence[str], temporary: Path) -> Iterator[dict[str, Path]]:
    """Yield neighbouring files that fit together, with their local paths; a file by itself stays as it is."""
    group: dict[str, Path] = {}
    size_bytes = 0
    for name in names if len(names) > 1 else ():
        path = store.fetched(name, temporary)
        if path is None:  # another process merges them, or deletes them
            return
        if size_bytes + path.stat().st_size > _MAX_BYTES:
            if len(group) > 1:
                yield group
            group, size_bytes = {}, 0
        group[name], size_bytes = path, size_bytes + path.stat().st_size
    if len(group) > 1:
        yield group


def _rows(paths: Sequence[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of each file with all columns."""
    for path in paths:
        with pq.ParquetFile(path) as file:
            rows = pa.concat_tables([schema.empty_table(), file.read()], promote_options="default")
            yield rows.replace_schema_metadata(schema.metadata)
