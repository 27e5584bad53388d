"""Runs of the archiver on a log in memory, and what they wrote."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from service.settings.settings import Settings
from service.tools.evaluation.archive import buffer as archive_buffer
from service.tools.evaluation.archive import run as archive_run
from service.tools.evaluation.archive.run import ArchiveOptions, Flushed, archive_topics
from service.tools.evaluation.stored.archive_layout import TABLES
from service.tools.evaluation.stored.archive_store import FolderStore
from tests.unit.tools.evaluation.outcome_log import OutcomeLog


async def archive(
    log: OutcomeLog,
    root: Path,
    *,
    flush_bytes: int = 64 * 1024 * 1024,
    on_flush: Callable[[], object] = lambda: None,
) -> list[Flushed]:
    """Archive what is in the log, with `on_flush` after each flush."""

    def take(each: Flushed) -> None:
        flushed.append(each)
        on_flush()

    flushed: list[Flushed] = []
    options = ArchiveOptions(once=True, flush_bytes=flush_bytes)
    settings = Settings.model_validate({"policy": {"audit_share": 0.1 if log.audits else 0.0}})
    await archive_topics(settings, FolderStore(root), options, take, open_tail=log.open_tail)
    return flushed


def rows(root: Path, query: str) -> list[Any]:
    with duckdb.connect() as connection:
        for table in TABLES:
            files = sorted(map(str, root.glob(f"{table}/**/*.parquet")))
            if files:
                relation = connection.read_parquet(files, union_by_name=True, hive_partitioning=False)
                relation.create_view(table)
        return connection.sql(query).fetchall()


def ids(root: Path, table: str = "verdicts") -> list[str]:
    """Return the ids of a table's images, in order."""
    files = root.glob(f"{table}/**/*.parquet")
    return sorted(
        image_id
        for path in files
        for image_id in pq.read_table(path, columns=["image_id"], partitioning=None)[0].to_pylist()
    )


def files_of(root: Path) -> list[str]:
    """Return the names of all files, hidden ones included."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def small_polls(monkeypatch: pytest.MonkeyPatch, records: int = 7) -> None:
    """Let a run take several flushes."""
    monkeypatch.setattr(archive_run, "_POLL_RECORDS", records)
    monkeypatch.setattr(archive_buffer, "_BATCH_ROWS", 1)
