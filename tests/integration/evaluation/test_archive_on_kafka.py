"""`modstream archive` on Apache Kafka, killed again and again: what is committed is archived exactly once."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from service.kafka.errors import TopicMissingError
from service.settings.delivery import TopicSettings
from service.settings.kafka import KafkaSettings
from service.settings.settings import Settings
from service.tools.evaluation.archive.run import ArchiveOptions, archive_topics
from service.tools.evaluation.stored.archive_layout import flush_name
from service.tools.evaluation.stored.archive_store import open_store
from service.tools.evaluation.stored.stored_verdicts import StoredFiles, VerdictSource, VerdictTopic, opened_verdicts
from testing.document_blocks import blocks_of
from testing.kafka import KafkaBroker
from testing.topics import create_topics
from testing.waiting import wait_until
from tests.unit.tools.evaluation.archives import ids
from tests.unit.tools.evaluation.outcome_log import some_tags
from tests.unit.tools.evaluation.stored import a_verdict

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[3]
KILLS = 4
ABORTED = 1_000_000


@pytest.fixture
async def settings(kafka: KafkaBroker) -> Settings:
    name = uuid4().hex[:8]
    topics = TopicSettings(verdicts=f"{name}.verdicts", tags=f"{name}.tags", dead_letters=f"{name}.dead")
    await create_topics(kafka.bootstrap_servers, list(topics.outcomes().values()), partitions=3)
    return Settings(kafka=KafkaSettings(bootstrap_servers=kafka.bootstrap_servers), topics=topics)


async def publish(settings: Settings, numbers: range, *, batch: int = 50) -> None:
    """Publish outcomes in transactions, each behind an aborted one with outcomes of other images."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers, transactional_id=uuid4().hex)
    await producer.start()
    for start in range(numbers.start, numbers.stop, batch):
        images = range(start, min(start + batch, numbers.stop))
        await producer.begin_transaction()
        await send(producer, settings, [image + ABORTED for image in images])
        await producer.abort_transaction()
        async with producer.transaction():
            await send(producer, settings, images)
    await producer.stop()


async def send(producer: AIOKafkaProducer, settings: Settings, images: Sequence[int]) -> None:
    for image in images:
        verdict, tags, key = a_verdict(image, tenant=f"tenant-{image % 5}"), some_tags(image), b"%d" % image
        await producer.send(settings.topics.verdicts, json.dumps(verdict).encode(), key)
        await producer.send(settings.topics.tags, json.dumps(tags).encode(), key)


def command(settings: Settings, root: Path, *options: str) -> list[str]:
    config = root.parent / "modstream.json"
    config.write_text(json.dumps({"kafka": {"bootstrap_servers": settings.kafka.bootstrap_servers},
                                  "topics": settings.topics.model_dump()}))  # fmt: skip
    return [sys.executable, "-m", "service", "archive", "--to", str(root), "-c", str(config), *options]


async def archive_once(settings: Settings, root: Path) -> None:
    await archive_topics(settings, open_store(str(root)), ArchiveOptions(once=True))


def count(source: VerdictSource, since: datetime | None = None) -> int:
    with opened_verdicts(source, since=since) as connection:
        ((found,),) = connection.sql("SELECT count(DISTINCT image_id) FROM verdicts").fetchall()
        return int(found)


async def test_an_archiver_that_is_killed_again_and_again_archives_every_record_once(
    settings: Settings, tmp_path: Path
) -> None:
    root = tmp_path / "archive"
    for kill in range(KILLS):
        publishing = asyncio.create_task(publish(settings, range(kill * 200, kill * 200 + 200)))
        archiver = await asyncio.create_subprocess_exec(*command(settings, root, "--flush-seconds", "1"))
        await wait_until(has_file(root, flush_name(kill + 1)), description="a flush begins", timeout_s=60)
        # The plan is there and its files are being written.
        archiver.kill()
        await archiver.wait()
        await publishing

    await archive_once(settings, root)

    expected = sorted(f"image-{number}" for number in range(KILLS * 200))
    assert ids(root) == expected
    assert ids(root, "tags") == expected
    assert count(StoredFiles(str(root))) == await asyncio.to_thread(count, VerdictTopic(settings)) == KILLS * 200


def has_file(root: Path, name: str) -> Callable[[], bool]:
    return (root / name).exists


async def test_the_topic_is_read_since_a_moment(settings: Settings) -> None:
    await publish(settings, range(40))
    for since, expected in ((datetime(2026, 3, 1, 12, 30, tzinfo=UTC), 10), (datetime(2200, 1, 1, tzinfo=UTC), 0)):
        assert await asyncio.to_thread(count, VerdictTopic(settings), since) == expected


async def test_records_that_were_deleted_before_they_were_archived_are_reported(
    settings: Settings, tmp_path: Path
) -> None:
    await publish(settings, range(60))
    await archive_once(settings, tmp_path / "archive")
    await publish(settings, range(100, 160))
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    await admin.start()
    await admin.delete_records({TopicPartition(settings.topics.verdicts, 0): RecordsToDelete(before_offset=-1)})
    await admin.close()

    with structlog.testing.capture_logs() as logs:
        await archive_once(settings, tmp_path / "archive")

    assert "archive.records_lost" in {each["event"] for each in logs}
    assert 60 < len(ids(tmp_path / "archive")) < 120
    assert ids(tmp_path / "archive", "tags") == sorted(f"image-{number}" for number in (*range(60), *range(100, 160)))


async def test_the_commands_of_the_page_run(settings: Settings, tmp_path: Path) -> None:
    await publish(settings, range(10))
    config = {"kafka": {"bootstrap_servers": settings.kafka.bootstrap_servers}, "topics": settings.topics.model_dump()}
    (tmp_path / "modstream.yaml").write_text(json.dumps(config))
    blocks = [block.text for block in blocks_of(ROOT / "docs/archive.md") if block.language == "sh"]
    outputs = [run_block(text, tmp_path) for text in blocks]
    assert "archived 10 verdicts, 10 tags, 0 dead letters" in outputs[0]
    assert "tenant-0" in outputs[2]
    assert "deleted 0 verdicts" in outputs[3]


def run_block(text: str, folder: Path) -> str:
    """Run a block as a reader would, with modstream on the path; return what it prints."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["bash", "-euo", "pipefail", "-c", text]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_topic_that_is_missing_is_named(settings: Settings, tmp_path: Path) -> None:
    topics = settings.topics.model_copy(update={"tags": "missing.tags"})
    with pytest.raises(TopicMissingError, match=r"topic missing.tags \(setting topics.tags\) does not exist"):
        await archive_once(settings.model_copy(update={"topics": topics}), tmp_path / "archive")
