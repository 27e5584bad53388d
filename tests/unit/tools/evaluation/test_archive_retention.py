from datetime import date
from pathlib import Path

import pytest

from service.tools.evaluation.archive.retention import expire_days, forget_images
from service.tools.evaluation.stored.archive_store import FolderStore
from service.tools.evaluation.stored.errors import NoVerdictsError
from tests.unit.tools.evaluation.archives import archive, files_of, ids
from tests.unit.tools.evaluation.outcome_log import TOPICS, OutcomeLog, an_audit
from tests.unit.tools.evaluation.stored import a_verdict


async def test_a_forgotten_image_is_gone_from_every_table_and_does_not_come_back(tmp_path: Path) -> None:
    log = OutcomeLog(audits=True)
    log.publish_outcomes(range(9))
    log.publish(TOPICS.audit, 3, an_audit(3, tenant="tenant-0", flagged=True))
    await archive(log, tmp_path)
    gone = forget_images(FolderStore(tmp_path), "tenant-0", ["image-3", "image-4", "dead-0"])
    assert gone == {"verdicts": 1, "tags": 1, "dead_letters": 1, "audits": 1}
    log.publish_outcomes(range(9))
    log.publish(TOPICS.audit, 3, an_audit(3, tenant="tenant-0", left_out="no_room"))
    (flushed,) = await archive(log, tmp_path)
    assert flushed.counts["forgotten"] == 4
    assert ids(tmp_path, "audits") == []
    assert "image-3" not in ids(tmp_path) + ids(tmp_path, "tags")
    assert ids(tmp_path).count("image-4") == 2, "an image of another tenant"
    assert "dead-0" not in ids(tmp_path, "dead_letters")


async def test_a_tombstone_does_not_hold_the_id(tmp_path: Path) -> None:
    await archive(OutcomeLog(), tmp_path)
    forget_images(FolderStore(tmp_path), "shop", ["passport-of-jane"])
    (stone,) = [name for name in files_of(tmp_path) if name.startswith("forgotten")]
    assert "jane" not in (tmp_path / stone).read_text()


async def test_an_image_that_is_forgotten_during_a_flush_is_not_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = OutcomeLog()
    log.publish_outcomes(range(9))
    await archive(OutcomeLog(), tmp_path)
    put = FolderStore.put

    def forget_meanwhile(store: FolderStore, name: str, source: Path) -> None:
        put(store, name, source)
        if "tenant-0" in name and name.startswith("verdicts"):
            monkeypatch.setattr(FolderStore, "put", put)
            # The other process has listed the files before this one was there.
            monkeypatch.setattr("service.tools.evaluation.archive.retention._rows", lambda store: iter(()))
            forget_images(FolderStore(tmp_path), "tenant-0", ["image-3"])

    monkeypatch.setattr(FolderStore, "put", forget_meanwhile)
    await archive(log, tmp_path)
    assert "image-3" not in ids(tmp_path) + ids(tmp_path, "tags")
    assert len(ids(tmp_path)) == 8


async def test_days_that_are_too_old_are_deleted_and_not_archived_again(tmp_path: Path) -> None:
    log = OutcomeLog(partitions=1)
    for number, day in enumerate(("2026-01-01", "2026-02-01", "2026-03-01")):
        log.publish(TOPICS.verdicts, 0, a_verdict(number, moderated_at=f"{day}T12:00:00Z"))
    await archive(log, tmp_path)
    assert expire_days(FolderStore(tmp_path), date(2026, 2, 1)) == 1
    await archive(log, tmp_path)
    assert ids(tmp_path) == ["image-1", "image-2"]
    log.publish(TOPICS.verdicts, 0, a_verdict(3))
    await archive(log, tmp_path)
    expire_days(FolderStore(tmp_path), date(2026, 3, 1))
    days = [name.split("/")[1] for name in files_of(tmp_path) if name.endswith(".parquet")]
    assert days == ["day=2026-03-01"] * 2


def test_there_is_nothing_to_forget_where_there_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(NoVerdictsError, match=str(tmp_path)):
        forget_images(FolderStore(tmp_path), "shop", ["1"])
