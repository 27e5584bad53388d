from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition

from service.tools.evaluation.archive import buffer as archive_buffer
from service.tools.evaluation.archive.writer import open_writer
from service.tools.evaluation.stored.archive_errors import (
    ArchiveDamagedError,
    ArchiveOffsetsLostError,
    ArchiverReplacedError,
)
from service.tools.evaluation.stored.archive_layout import flush_name, tenant_folder
from service.tools.evaluation.stored.archive_store import FolderStore
from service.tools.evaluation.stored.errors import (
    ArchiveUnreachableError,
    ArchiveVersionError,
)
from service.tools.evaluation.stored.stored_verdicts import StoredFiles, opened_verdicts
from tests.unit.tools.evaluation.archives import archive, files_of, ids, rows, small_polls
from tests.unit.tools.evaluation.outcome_log import TOPICS, OutcomeLog
from tests.unit.tools.evaluation.stored import a_verdict

VERDICTS = TopicPartition(TOPICS.verdicts, 0)


async def test_every_outcome_is_archived_once(tmp_path: Path) -> None:
    log = OutcomeLog()
    log.publish_outcomes(range(30))
    (flushed,) = await archive(log, tmp_path)
    assert (flushed.counts, flushed.behind) == ({"verdicts": 30, "tags": 10, "dead_letters": 6}, 0)
    assert ids(tmp_path) == sorted(f"image-{number}" for number in range(30))
    assert ids(tmp_path, "tags") == sorted(f"image-{number}" for number in range(0, 30, 3))
    assert ids(tmp_path, "dead_letters") == sorted(f"dead-{number}" for number in range(0, 30, 5))


async def test_a_later_run_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    log = OutcomeLog()
    log.publish_outcomes(range(10))
    await archive(log, tmp_path)
    assert await archive(log, tmp_path) == []
    log.publish_outcomes(range(10, 25))
    await archive(log, tmp_path)
    assert ids(tmp_path) == sorted(f"image-{number}" for number in range(25))


async def test_the_reader_of_stored_verdicts_reads_an_archive(tmp_path: Path) -> None:
    log = OutcomeLog()
    log.publish_outcomes(range(5))
    await archive(log, tmp_path)
    with opened_verdicts(StoredFiles(str(tmp_path))) as connection:
        assert connection.sql("SELECT count(*), count(score_weapons) FROM verdicts").fetchall() == [(5, 5)]


async def test_rows_lie_by_day_and_tenant(tmp_path: Path) -> None:
    log = OutcomeLog()
    log.publish(TOPICS.verdicts, 0, a_verdict(0, tenant="../a b", moderated_at="2026-03-01T23:30:00-02:00"))
    log.publish(TOPICS.dead_letters, 0, b"no event at all")
    await archive(log, tmp_path)
    assert [name.rpartition("/")[0] for name in files_of(tmp_path) if name.endswith(".parquet")] == [
        "dead_letters/day=2026-03-01/tenant=__HIVE_DEFAULT_PARTITION__",
        "verdicts/day=2026-03-02/tenant=%2E%2E%2Fa%20b",
    ]


@pytest.mark.parametrize(
    "tenant", ["x" * 256, "\N{GRINNING FACE}" * 256, "__HIVE_DEFAULT_PARTITION__", ".", "..", "a/b"]
)
def test_a_tenant_is_one_part_of_a_path(tenant: str) -> None:
    folder = tenant_folder(tenant)
    assert "/" not in folder
    assert len(folder.encode()) < 255
    assert folder != tenant_folder(None)


def test_tenants_with_a_long_common_beginning_have_folders_of_their_own() -> None:
    assert tenant_folder("x" * 255 + "a") != tenant_folder("x" * 255 + "b")


async def test_what_is_no_outcome_is_counted(tmp_path: Path) -> None:
    log = OutcomeLog()
    for value in (b"{half", {"image_id": "1"}, a_verdict(1)):
        log.publish(TOPICS.verdicts, 0, value)
    (flushed,) = await archive(log, tmp_path)
    assert flushed.counts == {"skipped": 2, "verdicts": 1}


async def test_many_tenants_are_written_in_several_flushes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_polls(monkeypatch)
    monkeypatch.setattr(archive_buffer, "MAX_FILES", 10)
    log = OutcomeLog()
    for number in range(60):
        log.publish(TOPICS.verdicts, number, a_verdict(number, tenant=f"tenant-{number}"))
    flushed = await archive(log, tmp_path)
    assert max(each.files for each in flushed) < 20
    assert len(ids(tmp_path)) == 60


async def test_own_categories_of_one_flush_share_its_files(tmp_path: Path) -> None:
    log = OutcomeLog()
    log.publish(TOPICS.verdicts, 0, a_verdict(0, scores={"weapons": 0.5}))
    log.publish(TOPICS.verdicts, 0, a_verdict(1, scores={"own": 0.25}))
    await archive(log, tmp_path)
    assert rows(tmp_path, "SELECT score_weapons, score_own FROM verdicts ORDER BY ALL") == [(0.5, None), (None, 0.25)]


async def test_what_was_deleted_before_it_was_archived_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = OutcomeLog(partitions=1)
    log.publish_outcomes(range(2))
    await archive(log, tmp_path)
    log.publish_outcomes(range(2, 10))
    log.delete_before(VERDICTS, 10)
    await archive(log, tmp_path)
    output = capsys.readouterr().out
    assert "archive.records_lost" in output
    assert "offsets=6" in output
    assert ids(tmp_path) == sorted(f"image-{number}" for number in (0, 1, 5, 6, 7, 8, 9))


async def test_what_is_deleted_while_it_is_read_is_reported_and_the_rest_archived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_polls(monkeypatch, records=3)
    log = OutcomeLog(partitions=1)
    log.publish_outcomes(range(10))
    await archive(log, tmp_path, flush_bytes=1, on_flush=lambda: log.delete_before(VERDICTS, 14))
    assert "archive.records_lost" in capsys.readouterr().out
    assert ids(tmp_path) == ["image-0", "image-1", "image-2", "image-7", "image-8", "image-9"]


async def killed_while_it_wrote(log: OutcomeLog, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Archive a log up to the plan of its flush, and no file."""

    def fail(*_: object) -> None:
        raise ArchiveUnreachableError(place="", used="written", detail="")

    with monkeypatch.context() as patch:
        patch.setattr(FolderStore, "put", fail)
        with pytest.raises(ArchiveUnreachableError):
            await archive(log, root)


async def test_what_was_published_after_a_crash_is_not_in_the_flush_that_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = OutcomeLog(partitions=1)
    log.publish_outcomes(range(4))
    await killed_while_it_wrote(log, tmp_path, monkeypatch)
    log.publish_outcomes(range(4, 8))
    await archive(log, tmp_path)
    assert ids(tmp_path) == [f"image-{number}" for number in range(8)]


async def test_a_flush_whose_records_are_gone_is_completed_by_files_without_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = OutcomeLog(partitions=1)
    log.publish_outcomes(range(4))

    await killed_while_it_wrote(log, tmp_path, monkeypatch)
    log.delete_before(VERDICTS, 4)
    await archive(log, tmp_path)
    assert "archive.records_lost" in capsys.readouterr().out
    assert ids(tmp_path) == ["image-2", "image-3"]
    assert await archive(log, tmp_path) == []
    assert open_writer(FolderStore(tmp_path)).unfinished() == []


async def test_a_topic_that_was_made_again_is_archived_from_its_beginning(tmp_path: Path) -> None:
    log = OutcomeLog(partitions=1)
    log.publish_outcomes(range(4))
    await archive(log, tmp_path)
    again = OutcomeLog(partitions=1, topic_ids={})
    again.topic_ids = dict.fromkeys(again.topic_ids, "another id")
    again.publish_outcomes(range(10, 13))
    await archive(again, tmp_path)
    assert ids(tmp_path) == sorted(f"image-{number}" for number in (0, 1, 2, 3, 10, 11, 12))


async def test_another_cluster_is_refused(tmp_path: Path) -> None:
    log = OutcomeLog(partitions=1)
    log.publish_outcomes(range(4))
    await archive(log, tmp_path)
    with pytest.raises(ArchiveOffsetsLostError, match=r"images\.\w+ partition 0 ends at offset 0"):
        await archive(OutcomeLog(partitions=1), tmp_path)


async def test_a_topic_that_the_settings_do_not_name_for_a_while_is_not_archived_twice(tmp_path: Path) -> None:
    log = OutcomeLog(partitions=1)
    log.publish_outcomes(range(4))
    await archive(log, tmp_path)
    writer = open_writer(FolderStore(tmp_path))
    writer.flush({}, [], [])
    await archive(log, tmp_path)
    assert len(ids(tmp_path)) == 4


def test_a_store_that_knows_no_conditional_writes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FolderStore, "create", lambda store, name, source: store.put(name, source) is None)
    with pytest.raises(ArchiveUnreachableError, match="If-None-Match"):
        open_writer(FolderStore(tmp_path))
    assert files_of(tmp_path) == []


async def test_a_second_archiver_is_noticed(tmp_path: Path) -> None:
    first, second = open_writer(FolderStore(tmp_path)), open_writer(FolderStore(tmp_path))
    first.flush({}, [], [])
    with pytest.raises(ArchiverReplacedError, match="flush 1"):
        second.flush({}, [], [])


async def test_an_archiver_that_was_suspended_for_long_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.tools.evaluation.archive.writer._KEPT_PLANS", 1)
    suspended, running = open_writer(FolderStore(tmp_path)), open_writer(FolderStore(tmp_path))
    for _ in range(3):
        running.flush({}, [], [])
    with pytest.raises(ArchiverReplacedError, match="flush 1"):
        suspended.flush({}, [], [])
    assert [name for name in files_of(tmp_path) if name.startswith("flushes")] == [flush_name(3)]


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("archive.json", b"{}", ArchiveDamagedError),
        ("archive.json", b'{"version": "99", "salt": ""}', ArchiveVersionError),
        ("archive.json", None, ArchiveDamagedError),
        (flush_name(1), b"half", ArchiveDamagedError),
        (flush_name(1), None, ArchiveDamagedError),
        ("forgotten/1.json", b"[]", ArchiveDamagedError),
    ],
)
async def test_a_damaged_archive_is_not_continued(
    tmp_path: Path, name: str, content: bytes | None, error: type[Exception]
) -> None:
    log = OutcomeLog()
    log.publish_outcomes(range(3))
    await archive(log, tmp_path)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True) if content is None else path.write_bytes(content)
    before = ids(tmp_path)
    with pytest.raises(error):
        await archive(log, tmp_path)
    assert ids(tmp_path) == before


async def test_a_plan_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    log = OutcomeLog()
    log.publish_outcomes(range(3))
    await archive(log, tmp_path / "archive")
    path = tmp_path / "archive" / flush_name(1)
    path.write_text(path.read_text().replace("verdicts/day=", "verdicts/../../day="))
    with pytest.raises(ArchiveDamagedError, match="no plan"):
        await archive(log, tmp_path / "archive")


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveUnreachableError, match=f"{tmp_path}/file.* cannot be"):
        await archive(OutcomeLog(), tmp_path / "file" / "archive")


async def test_a_full_disk_is_named_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = OutcomeLog()
    log.publish_outcomes(range(3))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("service.tools.evaluation.stored.archive_store.shutil.copyfileobj", full)
        with pytest.raises(ArchiveUnreachableError, match="No space left"):
            await archive(log, tmp_path)
    assert files_of(tmp_path) == []
    await archive(log, tmp_path)
    assert len(ids(tmp_path)) == 3
