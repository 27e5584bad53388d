"""Stored verdicts as a DuckDB view, wherever they are stored.

`opened_verdicts` yields a connection with the view `verdicts`: the columns of `verdict_columns`, times in UTC. Sources
are an archive (`modstream archive`) in a folder or in S3, files of Kafka Connect's sinks, verdicts as JSON lines, and
the topic itself. Files of an archive are read where they lie; what lies in S3, and every other form, is first written
to a temporary folder, a part at a time, so that memory stays bounded: `TMPDIR` needs room for it.
"""

import asyncio
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from service.kafka.errors import KafkaUnreachableError
from service.settings.settings import Settings
from service.tools.evaluation.stored.archive_identity import identity_of
from service.tools.evaluation.stored.archive_layout import (
    ENDING,
    VERSION,
    VERSION_KEY,
    Table,
    by_folder,
    day_of,
    superseded,
)
from service.tools.evaluation.stored.archive_store import ArchiveStore, open_store
from service.tools.evaluation.stored.columns import verdict_schema
from service.tools.evaluation.stored.documents import LINES, lines_of, rows_of
from service.tools.evaluation.stored.errors import (
    ArchiveVersionError,
    NoVerdictsError,
    VerdictUnreadableError,
)
from service.tools.evaluation.stored.foreign_files import check_rows, checked_schema, errors_of_reading
from service.tools.evaluation.stored.spool import VerdictSpool
from service.tools.evaluation.stored.topic import spool_topic

Progress = Callable[[int, int], None]
"""Takes how much has been read, and how much there is: files, or offsets of the topic."""

_ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class StoredFiles:
    """An archive of `modstream archive`, or files of Kafka Connect's sink: a folder or s3://bucket/prefix."""

    place: str


@dataclass(frozen=True, slots=True)
class VerdictLines:
    """A file of verdicts as JSON lines; `-` is standard input."""

    path: Path


@dataclass(frozen=True, slots=True)
class VerdictTopic:
    """The topic of verdicts that the settings name: what is committed now."""

    settings: Settings


VerdictSource = StoredFiles | VerdictLines | VerdictTopic


@contextmanager
def opened_verdicts(
    source: VerdictSource,
    *,
    since: datetime | None = None,
    categories: Collection[str] = (),
    on_progress: Progress = lambda done, total: None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection with the view `verdicts`, of verdicts that were made at `since` or later.

    The view has columns for the taxonomy, for every category that occurs, and for `categories`, whose columns are null
    where they do not occur. Raises `NoVerdictsError`, `VerdictUnreadableError`, `NoRoomForVerdictsError`,
    `ArchiveVersionError`, `ArchiveUnreachableError`, `ForeignFileError`, and for the topic the errors of
    `open_snapshot`; when the view is queried, `ForeignFileError` and `NoRoomForVerdictsError`.
    """
    with tempfile.TemporaryDirectory(prefix="modstream-verdicts-") as temporary:
        folder = Path(temporary)
        files = _files_of(source, folder, since, on_progress)
        with duckdb.connect(config={"autoinstall_known_extensions": False, "temp_directory": temporary}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            place = source.place if isinstance(source, StoredFiles) else "the temporary folder"
            with errors_of_reading(place, folder):
                _create_view(connection, [_columns_alone(folder, categories), *map(str, files)], since, place)
                if isinstance(source, StoredFiles):
                    check_rows(connection.view("verdicts"), place)
                yield connection


def _files_of(source: VerdictSource, folder: Path, since: datetime | None, on_progress: Progress) -> Sequence[Path]:
    """Return Parquet files with the columns of `verdict_columns`."""
    if isinstance(source, StoredFiles):
        return _stored_files(open_store(source.place), folder, since, on_progress)
    with VerdictSpool(folder) as spool:
        if isinstance(source, VerdictLines):
            for place, document in lines_of(source.path):
                spool.add(place, document)
        else:
            try:
                asyncio.run(spool_topic(source.settings, spool, since, on_progress))
            except KafkaUnreachableError as error:
                error.add_note("or name stored verdicts by --archive or --verdicts")
                raise
    return spool.files


def archived_names(store: ArchiveStore, table: Table, since: datetime | None) -> tuple[list[str], bool]:
    """Return the files of a table that may have rows since a moment, and whether the table has any files."""
    names = sorted(name for name in store.names(f"{table}/") if name.endswith(ENDING) and day_of(name))
    double = {name for files in by_folder(names).values() for name in superseded(files)}
    return [name for name in names if name not in double and _is_since(name, since)], bool(names)


def _stored_files(store: ArchiveStore, folder: Path, since: datetime | None, on_progress: Progress) -> Sequence[Path]:
    wanted, has_files = archived_names(store, "verdicts", since)
    identity = identity_of(store)
    if has_files or identity:
        return archived_files(store, wanted, folder, on_progress, is_checked=identity is not None)
    return _of_kafka_connect(store, folder, on_progress)


def archived_files(
    store: ArchiveStore, names: Sequence[str], folder: Path, on_progress: Progress, *, is_checked: bool
) -> Sequence[Path]:
    """Return local paths of files of an archive, in a folder below the given one where they had to be copied.

    Raises `ArchiveVersionError` for a file of another version unless the archive's own is checked already.
    """
    # The name of a folder may have characters that DuckDB takes for a pattern.
    (folder / _ARCHIVED).mkdir()
    files = []
    for number, name in enumerate(names):
        on_progress(number, len(names))
        path = store.fetched(name, folder / _ARCHIVED)
        if path is None:  # retention was faster
            continue
        if not is_checked:
            _check_version(path, f"{store.place} ({name})")
        files.append(_without_pattern(path, folder / _ARCHIVED, number))
    return files


def _without_pattern(path: Path, folder: Path, number: int) -> Path:
    """Return a path that DuckDB takes literally: the file's own, or that of a link to it."""
    if not set("*?[") & set(str(path)):
        return path
    link = folder / f"{number}{ENDING}"
    link.symlink_to(path.absolute())
    return link


def _is_since(name: str, since: datetime | None) -> bool:
    day = day_of(name)
    return since is None or day is None or day >= since.astimezone(UTC).date()


def _of_kafka_connect(store: ArchiveStore, folder: Path, on_progress: Progress) -> Sequence[Path]:
    names = sorted(name for name in store.names() if name.endswith((ENDING, *LINES)))
    if not names:
        detail = "neither files of 'modstream archive' nor .parquet or .json files of Kafka Connect are there"
        raise NoVerdictsError(place=store.place, detail=detail)
    with VerdictSpool(folder) as spool:
        for number, name in enumerate(names):
            on_progress(number, len(names))
            (copies := folder / "copied").mkdir(exist_ok=True)
            if (path := store.fetched(name, copies)) is None:
                continue
            for place, document in rows_of(path) if name.endswith(ENDING) else lines_of(path):
                spool.add(place, document)
            if path.parent == copies:
                path.unlink()
    return spool.files


def _check_version(path: Path, place: str) -> None:
    try:
        found = (pq.read_metadata(path).metadata or {}).get(VERSION_KEY, b"none").decode(errors="replace")
    except (OSError, ValueError) as error:
        raise VerdictUnreadableError(place=place, detail=f"no Parquet file can be read here: {error}") from error
    if found != VERSION:
        raise ArchiveVersionError(place=place, found=found, known=VERSION)


def _columns_alone(folder: Path, categories: Collection[str]) -> str:
    """Write a file without rows, so that the view has every column with its type whatever the other files have."""
    path = folder / "columns.parquet"
    pq.write_table(verdict_schema(categories).empty_table(), path)
    return str(path)


def _create_view(
    connection: duckdb.DuckDBPyConnection, files: Sequence[str], since: datetime | None, place: str
) -> None:
    stored = connection.read_parquet(files, union_by_name=True, hive_partitioning=False)
    schema = checked_schema(stored, place)
    flags = {name for name in schema.names if name.startswith(("asked_", "hint_"))}
    # Files that were written before a category was known have no columns of it.
    selected = (
        f"COALESCE({_quoted(name)}, false) AS {_quoted(name)}" if name in flags else _quoted(name)
        for name in schema.names
    )
    view = stored.project(", ".join(selected))
    if since is not None:
        view = view.filter(f"moderated_at >= TIMESTAMPTZ '{since.astimezone(UTC).isoformat()}'")
    view.create_view("verdicts")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
