"""An archive in a bucket of a real S3-compatible store."""

from collections.abc import Iterator
from datetime import date

import pytest

from service.settings.settings import Settings
from service.tools.evaluation.archive.compaction import compact
from service.tools.evaluation.archive.retention import expire_days, forget_images
from service.tools.evaluation.archive.run import ArchiveOptions, archive_topics
from service.tools.evaluation.archive.writer import open_writer
from service.tools.evaluation.stored.archive_errors import ArchiverReplacedError
from service.tools.evaluation.stored.archive_layout import FLUSHES, TABLES
from service.tools.evaluation.stored.archive_store import open_store
from service.tools.evaluation.stored.errors import ArchiveUnreachableError
from service.tools.evaluation.stored.stored_verdicts import StoredFiles, opened_verdicts
from testing.object_store import ACCESS_KEY_ID, SECRET_ACCESS_KEY, ObjectStore, object_store
from tests.unit.tools.evaluation.outcome_log import OutcomeLog

pytestmark = pytest.mark.tool("seaweedfs")

BUCKET = "decisions"


@pytest.fixture(scope="module")
def bucket() -> Iterator[ObjectStore]:
    with object_store(BUCKET) as store:
        yield store


@pytest.fixture(autouse=True)
def credentials(bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.endpoint)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)


async def archive(log: OutcomeLog, place: str) -> None:
    await archive_topics(Settings(), open_store(place), ArchiveOptions(once=True), open_tail=log.open_tail)


def ids(place: str) -> list[str]:
    with opened_verdicts(StoredFiles(place)) as connection:
        return [each for (each,) in connection.sql("SELECT image_id FROM verdicts ORDER BY ALL").fetchall()]


async def test_outcomes_are_archived_once_and_read_back() -> None:
    place, log = f"s3://{BUCKET}/once", OutcomeLog()
    for numbers in (range(6), range(6, 10)):
        log.publish_outcomes(numbers)
        await archive(log, place)
        await archive(log, place)
    assert ids(place) == sorted(f"image-{number}" for number in range(10))
    names = list(open_store(place).names())
    assert {name.partition("/")[0] for name in names} == {*TABLES, FLUSHES.rstrip("/"), "archive.json"} - {"audits"}


async def test_an_archive_beside_another_one_is_not_read() -> None:
    for name, numbers in (("a", range(2)), ("ab", range(2, 4))):
        log = OutcomeLog()
        log.publish_outcomes(numbers)
        await archive(log, f"s3://{BUCKET}/{name}")
    assert ids(f"s3://{BUCKET}/a") == ["image-0", "image-1"]


async def test_images_are_forgotten_and_old_days_deleted() -> None:
    place, log = f"s3://{BUCKET}/forgotten", OutcomeLog()
    log.publish_outcomes(range(6))
    await archive(log, place)
    assert forget_images(open_store(place), "tenant-0", ["image-3"])["verdicts"] == 1
    assert ids(place) == ["image-0", "image-1", "image-2", "image-4", "image-5"]
    log.publish_outcomes(range(6))
    await archive(log, place)
    log.publish_outcomes([6])
    await archive(log, place)
    assert compact(open_store(place)) == (12, 6)
    assert ids(place) == sorted(["image-0", "image-1", "image-2", "image-4", "image-5"] * 2 + ["image-6"])
    expire_days(open_store(place), date(2026, 4, 1))
    assert ids(place) == []


def test_a_second_archiver_is_noticed() -> None:
    place = f"s3://{BUCKET}/two"
    first, second = open_writer(open_store(place)), open_writer(open_store(place))
    first.flush({}, [], [])
    with pytest.raises(ArchiverReplacedError):
        second.flush({}, [], [])


@pytest.mark.parametrize(("variable", "value"), [("AWS_SECRET_ACCESS_KEY", "wrong"), ("AWS_ACCESS_KEY_ID", "stranger")])
def test_a_store_that_denies_access_is_named(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ArchiveUnreachableError, match=rf"s3://{BUCKET}/denied cannot be"):
        open_writer(open_store(f"s3://{BUCKET}/denied"))


def test_a_bucket_that_does_not_exist_is_named() -> None:
    with pytest.raises(ArchiveUnreachableError, match="s3://missing/here cannot be"):
        open_writer(open_store("s3://missing/here"))
