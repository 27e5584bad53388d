"""Stored audits as a DuckDB view, beside the verdicts of the same archive."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from service.core.errors import FatalError
from service.settings.settings import MIN_AUDIT_SHARE
from service.tools.evaluation.stored.archive_identity import identity_of
from service.tools.evaluation.stored.archive_store import open_store
from service.tools.evaluation.stored.audit_columns import audit_schema
from service.tools.evaluation.stored.foreign_files import ForeignFileError, errors_of_reading
from service.tools.evaluation.stored.stored_verdicts import (
    Progress,
    StoredFiles,
    archived_files,
    archived_names,
    opened_verdicts,
)

COLUMNS = (
    "image_id",
    "tenant",
    "moderated_at",
    "policy_name",
    "share",
    "left_out",
    "status",
    "decision",
    "reasons",
    "source_topic",
    "source_partition",
    "source_offset",
    "event_id",
)
"""Columns of the view."""

_FAULT = (
    "image_id IS NULL OR tenant IS NULL OR moderated_at IS NULL OR share IS NULL"
    f" OR NOT (share >= {MIN_AUDIT_SHARE} AND share <= 1)"
)


class NoAuditsError(FatalError):
    """An archive has no audits of the time that was asked for."""

    reason = "audits.none"
    message = (
        "{place} holds no audits{since}: set policy.audit_share above 0, and archive with the same settings, so that"
        " 'modstream archive' reads topics.audit"
    )


@contextmanager
def opened_audits(
    place: str, *, since: datetime | None = None, on_progress: Progress = lambda done, total: None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection with the views `audits` and `verdicts` of an archive, times in UTC.

    `place` is a folder or s3://bucket/prefix of 'modstream archive'. Raises `NoAuditsError`, and the errors of
    `opened_verdicts`.
    """
    store = open_store(place)
    names, _ = archived_names(store, "audits", since)
    if not names:
        since_words = "" if since is None else f" since {since.isoformat()}"
        raise NoAuditsError(place=store.place, since=since_words)
    with (
        opened_verdicts(StoredFiles(place), since=since) as connection,
        tempfile.TemporaryDirectory(prefix="modstream-audits-") as temporary,
    ):
        folder, is_checked = Path(temporary), identity_of(store) is not None
        files = archived_files(store, names, folder, on_progress, is_checked=is_checked)
        with errors_of_reading(store.place, folder):
            _create_view(connection, [_columns_alone(folder), *map(str, files)], store.place, since)
            yield connection


def _columns_alone(folder: Path) -> str:
    """Write a file without rows, so that the view has every column with its type."""
    path = folder / "columns.parquet"
    pq.write_table(audit_schema().empty_table().select(list(COLUMNS)), path)
    return str(path)


def _create_view(connection: duckdb.DuckDBPyConnection, files: list[str], place: str, since: datetime | None) -> None:
    stored = connection.read_parquet(files, union_by_name=True, hive_partitioning=False)
    expected = connection.read_parquet(files[0])
    kinds, found = (
        dict(zip(expected.columns, expected.types, strict=True)),
        dict(zip(stored.columns, stored.types, strict=True)),
    )
    for name in COLUMNS:
        if found[name] != kinds[name]:
            raise ForeignFileError(place=place, detail=f"the column {name} is {found[name]}, not {kinds[name]}")
    view = stored.project(", ".join(COLUMNS))
    if view.filter(_FAULT).limit(1).fetchall():
        detail = (
            "an audit lacks its image_id, tenant or moderated_at, or its share is no probability that"
            f" policy.audit_share can have ({MIN_AUDIT_SHARE:g} to 1)"
        )
        raise ForeignFileError(place=place, detail=detail)
    if since is not None:
        view = view.filter(f"moderated_at >= TIMESTAMPTZ '{since.isoformat()}'")
    view.create_view("audits")
