"""What the service asks brokers about topics, and what `modstream topics` says of them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.delivery.group_state import GroupHistory, StoredOffsets
from service.kafka.connection import KafkaConnection
from service.kafka.errors import TopicMissingError
from service.kafka.outage import find_outage
from service.kafka.topics import check_topics, ensure_topics, partitions_of
from service.settings.kafka import KafkaSettings
from testing.kafka import KafkaBroker, running_kafka

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def creating_kafka() -> Iterator[KafkaBroker]:
    """A broker that creates topics that clients ask for by name."""
    with running_kafka(KAFKA_AUTO_CREATE_TOPICS_ENABLE="true") as broker:
        yield broker


@pytest.fixture
def connection(creating_kafka: KafkaBroker) -> KafkaConnection:
    return KafkaConnection(KafkaSettings(bootstrap_servers=creating_kafka.bootstrap_servers))


async def topics_by_now(connection: KafkaConnection) -> set[str]:
    """Return all topics, once the brokers know one that was created after everything else."""
    await ensure_topics(connection, {"the test": uuid4().hex}, partitions=1)
    return set(await partitions_of(connection))


async def test_the_check_at_start_creates_no_topic(connection: KafkaConnection) -> None:
    with pytest.raises(TopicMissingError):
        await check_topics(connection, {"topics.uploads": "checked"})
    assert "checked" not in await topics_by_now(connection)


async def test_a_look_for_an_outage_creates_no_topic(connection: KafkaConnection) -> None:
    with pytest.raises(TopicMissingError):
        await find_outage(connection, {"topics.verdicts": "looked.for"})
    assert "looked.for" not in await topics_by_now(connection)


async def test_a_look_at_the_groups_history_creates_no_topic(connection: KafkaConnection) -> None:
    async with (
        connection.running(connection.admin()) as admin,
        connection.running(connection.onlooker()) as onlooker,
    ):
        stored = StoredOffsets(admin, "group")
        history = GroupHistory(admin, onlooker, stored, uploads="history", outcome_topics=["outcomes"])
        assert not await history.is_forgotten("history")
    assert not {"history", "outcomes"} & await topics_by_now(connection)


async def topics(kafka: KafkaBroker, folder: Path, command: str) -> Result:
    config = folder / "settings.yaml"
    config.write_text(f"kafka: {{bootstrap_servers: '{kafka.bootstrap_servers}'}}\n", encoding="utf-8")
    arguments = ["topics", command, "-c", str(config)]
    return await asyncio.to_thread(CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke, app, arguments)


async def test_a_missing_journal_is_found_by_the_check_and_created(kafka: KafkaBroker, tmp_path: Path) -> None:
    journal = "images.uploaded.dead.done"
    assert (await topics(kafka, tmp_path, "create")).exit_code == 0
    checked = await topics(kafka, tmp_path, "check")
    assert (checked.exit_code, journal in checked.stdout) == (0, True)

    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    await admin.delete_topics([journal])
    await admin.close()
    checked = await topics(kafka, tmp_path, "check")
    assert checked.exit_code == 1
    assert f"topic {journal} (setting topics.dead_letters) does not exist" in checked.stderr
    assert (await topics(kafka, tmp_path, "create")).exit_code == 0
    assert (await topics(kafka, tmp_path, "check")).exit_code == 0
