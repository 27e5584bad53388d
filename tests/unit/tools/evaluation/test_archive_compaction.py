from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from service.tools.evaluation.archive import compaction as archive_compaction
from service.tools.evaluation.archive.compaction import compact
from service.tools.evaluation.archive.retention import expire_days, forget_images
from service.tools.evaluation.archive.row_files import write_tables
from service.tools.evaluation.stored.archive_layout import by_folder, merged_name, superseded
from service.tools.evaluation.stored.archive_store import ArchiveStore, FolderStore
from service.tools.evaluation.stored.errors import NoVerdictsError
from service.tools.evaluation.stored.stored_verdicts import StoredFiles, opened_verdicts
from tests.unit.tools.evaluation.archives import archive, files_of, ids
from tests.unit.tools.evaluation.outcome_log import TOPICS, OutcomeLog
from tests.unit.tools.evaluation.stored import a_verdict


async def several_flushes(root: Path, *, flushes: int = 4) -> OutcomeLog:
    log = OutcomeLog(partitions=1)
    for number in range(flushes):
        log.publish_outcomes(range(number * 10, number * 10 + 10), tenants=2)
        log.publish(TOPICS.verdicts, 0, a_verdict(1000 + number, tenant="tenant-0", scores={f"own_{number}x": 0.5}))
        await archive(log, root)
    return log


def parquet(root: Path) -> list[str]:
    return [name for name in files_of(root) if name.endswith(".parquet")]


def view(root: Path) -> list[tuple[object, ...]]:
    with opened_verdicts(StoredFiles(str(root))) as connection:
        return connection.sql("FROM verdicts ORDER BY image_id").fetchall()


async def test_files_of_a_day_and_tenant_become_one_and_the_rows_stay(tmp_path: Path) -> None:
    await several_flushes(tmp_path)
    before, rows = parquet(tmp_path), view(tmp_path)
    replaced, written = compact(FolderStore(tmp_path))
    assert len(parquet(tmp_path)) == len(before) - replaced + written
    assert {len(files) for files in by_folder(parquet(tmp_path)).values()} == {2}, "merged, and the newest flush"
    assert view(tmp_path) == rows
    assert compact(FolderStore(tmp_path)) == (0, 0)


async def test_what_is_archived_later_is_merged_into_it(tmp_path: Path) -> None:
    log = await several_flushes(tmp_path)
    compact(FolderStore(tmp_path))
    log.publish_outcomes(range(100, 110), tenants=2)
    await archive(log, tmp_path)
    rows = view(tmp_path)
    compact(FolderStore(tmp_path))
    assert merged_name("tags/day=2026-03-01/tenant=tenant-1/", 1, 4) in parquet(tmp_path)
    assert view(tmp_path) == rows


async def test_a_compaction_that_was_killed_shows_no_row_twice_and_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await several_flushes(tmp_path)
    rows = view(tmp_path)

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "delete", kill)
        with pytest.raises(Killed):
            compact(FolderStore(tmp_path))
    assert len(ids(tmp_path)) > len(rows), "the merged file and its sources are there"
    assert view(tmp_path) == rows
    compact(FolderStore(tmp_path))
    assert len(ids(tmp_path)) == len(rows)
    assert view(tmp_path) == rows


async def test_files_are_merged_up_to_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await several_flushes(tmp_path, flushes=6)
    rows = view(tmp_path)
    monkeypatch.setattr(archive_compaction, "_MAX_BYTES", 100_000)  # two files and a half
    compact(FolderStore(tmp_path))
    assert max(map(len, by_folder(parquet(tmp_path)).values())) > 2
    assert view(tmp_path) == rows


async def test_an_image_that_is_forgotten_during_a_compaction_is_not_in_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await several_flushes(tmp_path)
    put = FolderStore.put

    def forget_first(store: FolderStore, name: str, source: Path) -> None:
        monkeypatch.setattr(FolderStore, "put", put)
        forget_images(FolderStore(tmp_path), "tenant-0", ["image-2"])
        put(store, name, source)

    monkeypatch.setattr(FolderStore, "put", forget_first)
    compact(FolderStore(tmp_path))
    assert "image-2" not in ids(tmp_path)


async def test_merged_files_are_forgotten_in_and_expire(tmp_path: Path) -> None:
    await several_flushes(tmp_path)
    compact(FolderStore(tmp_path))
    assert forget_images(FolderStore(tmp_path), "tenant-0", ["image-2"])["verdicts"] == 1
    assert "image-2" not in ids(tmp_path)
    expire_days(FolderStore(tmp_path), date(2026, 3, 3))
    assert len(by_folder(parquet(tmp_path))) == len(parquet(tmp_path))


def test_a_place_without_an_archive_is_not_compacted(tmp_path: Path) -> None:
    with pytest.raises(NoVerdictsError):
        compact(FolderStore(tmp_path))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["1", "2", "3"], []),
        (["1-3", "1", "2", "3", "4"], ["1", "2", "3"]),
        (["1-5", "1-3", "4", "5", "6-8", "7"], ["1-3", "4", "5", "7"]),
        (["1-3", "3-5"], []),
    ],
)
def test_a_file_within_another_is_superseded(files: list[str], expected: list[str]) -> None:
    folder = "verdicts/day=2026-03-01/tenant=shop/"

    def name(text: str) -> str:
        return folder + "-".join(f"{int(number):012}" for number in text.split("-")) + ".parquet"

    (ordered,) = by_folder(map(name, reversed(files))).values()
    assert superseded(ordered) == [name(each) for each in expected]


async def test_an_image_that_was_forgotten_during_a_compaction_that_was_killed_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await several_flushes(tmp_path)
    store = FolderStore(tmp_path)

    class Killed(BaseException):
        pass

    def forget_and_kill(store: ArchiveStore, name: str, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
        rows = list(tables)
        assert sum(forget_images(store, "tenant-0", ["image-0"]).values())
        write_tables(store, name, schema, rows)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(archive_compaction, "write_tables", forget_and_kill)
        with pytest.raises(Killed):
            compact(store)
    compact(store)
    assert "image-0" not in ids(tmp_path)
