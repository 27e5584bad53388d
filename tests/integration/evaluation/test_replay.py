"""Upload events of stored verdicts are published again, as long as the brokers hold them."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.cli.replay import sent_shown
from service.core.headers import REASON
from service.kafka.connection import KafkaConnection
from service.kafka.reader import open_snapshot
from service.settings.delivery import TopicSettings
from service.settings.kafka import KafkaSettings
from service.settings.settings import Settings
from service.tools.evaluation.backtest.replay import ReplayResult, publish_again, stored_images
from service.tools.evaluation.stored.stored_verdicts import VerdictLines
from testing.tansu import running_tansu
from testing.topics import create_topics, publish
from tests.unit.tools.evaluation.stored import a_verdict, write_lines


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with running_tansu() as address:
        yield address


def event(image_id: str) -> bytes:
    return json.dumps({"image_id": image_id, "tenant": "shop", "image": {"url": "https://example.org/a.jpg"}}).encode()


async def with_uploads(broker: str, *image_ids: str) -> Settings:
    topic = f"uploads-{uuid4().hex[:8]}"
    await create_topics(broker, [topic], partitions=1)
    for image_id in image_ids:  # one by one: the embedded broker counts a batch as one offset
        await publish(broker, topic, [(b"key", event(image_id), [("mine", b"1"), (REASON, b"forged")])])
    return Settings(kafka=KafkaSettings(bootstrap_servers=broker), topics=TopicSettings(uploads=topic))


def verdict_of(settings: Settings, image_id: str, offset: int, number: int = 0, **fields: Any) -> dict[str, Any]:
    source = {"topic": settings.topics.uploads, "partition": 0, "offset": offset}
    return a_verdict(number, image_id=image_id, source=source, **fields)


async def no_wait(_count: int) -> None:
    """Send at once."""


async def records_of(settings: Settings) -> list[Any]:
    connection = KafkaConnection(settings.kafka)
    async with open_snapshot(connection, settings.topics.uploads, setting="topics.uploads") as snapshot:
        return [record async for batch in snapshot.batches() for record in batch]


async def test_events_are_published_again_as_their_uploaders_sent_them(broker: str, tmp_path: Path) -> None:
    settings = await with_uploads(broker, "a", "b")
    path = write_lines(tmp_path / "verdicts.jsonl", [verdict_of(settings, "b", 1)])
    images = stored_images(VerdictLines(path), since=None, policy=None, limit=10)

    dry, result = ReplayResult(), ReplayResult()
    await publish_again(settings, images, dry, execute=False, pace=no_wait)
    assert len(await records_of(settings)) == 2
    await publish_again(settings, images, result, execute=True, pace=no_wait)

    *_, last = await records_of(settings)
    assert (last.offset, last.key, last.value, last.headers) == (2, b"key", event("b"), (("mine", b"1"),))
    assert (dry.found, dry.sent, result.found, result.sent, result.gone) == (1, 0, 1, 1, 0)


async def test_events_that_are_gone_are_named_with_the_reason(broker: str, tmp_path: Path) -> None:
    settings = await with_uploads(broker, "a")
    elsewhere = {"topic": "older-uploads", "partition": 0, "offset": 0}
    documents = [
        verdict_of(settings, "another", 0),
        verdict_of(settings, "deleted", 4000),
        a_verdict(2, image_id="moved", source=elsewhere),
    ]
    path = write_lines(tmp_path / "verdicts.jsonl", documents)
    result = ReplayResult()
    images = stored_images(VerdictLines(path), since=None, policy=None, limit=10)
    await publish_again(settings, images, result, execute=True, pace=no_wait)
    reasons = {each.image_id: each.why for each in result.examples}
    assert (result.found, result.sent, result.gone) == (0, 0, 3)
    assert "another image" in reasons["another"]
    assert "no longer hold" in reasons["deleted"]
    assert "older-uploads" in reasons["moved"]


async def test_an_image_is_sent_once_by_its_newest_verdict(broker: str, tmp_path: Path) -> None:
    settings = await with_uploads(broker, "a")
    documents = [verdict_of(settings, "a", offset=number, number=number) for number in (0, 7, 3)]
    path = write_lines(tmp_path / "verdicts.jsonl", documents)
    (image,) = stored_images(VerdictLines(path), since=None, policy=None, limit=10)
    assert image.place.offset == 7


def test_the_command_is_a_dry_run_that_says_what_it_would_send(broker: str, tmp_path: Path) -> None:
    settings = asyncio.run(with_uploads(broker, "a"))
    documents = [verdict_of(settings, "a", 0), verdict_of(settings, "deleted\x1b[31m", 4000)]
    path = write_lines(tmp_path / "verdicts.jsonl", documents)
    shown = command(settings, "--verdicts", str(path))
    assert shown.exit_code == 1
    assert "1 would be sent" in shown.stdout
    assert "the brokers no longer hold its record" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert json.loads(command(settings, "--verdicts", str(path), "--json").stdout)["gone"] == 1


def test_a_policy_chooses_the_images_that_scores_say_nothing_about(broker: str, tmp_path: Path) -> None:
    settings = asyncio.run(with_uploads(broker, "a"))
    documents = [verdict_of(settings, "a", 0, prompt_hash=None), verdict_of(settings, "b", 1, prompt_hash="0" * 64)]
    path = write_lines(tmp_path / "verdicts.jsonl", documents)
    policy = tmp_path / "new.yaml"
    policy.write_text('name: new\nversion: "1"\ncategories:\n  child_safety: {review: 0.1}\n')
    shown = command(settings, "--verdicts", str(path), "--policy", str(policy), "--json")
    assert [each["image_id"] for each in json.loads(shown.stdout)["examples"]] == ["b"]


def test_what_was_sent_before_an_interruption_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), sent_shown(ReplayResult(found=3, sent=3)):
        raise KeyboardInterrupt
    assert "3 events were sent before this" in capsys.readouterr().err


def command(settings: Settings, *arguments: str) -> Result:
    environment = {
        "MODSTREAM_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
        "MODSTREAM_TOPICS__UPLOADS": settings.topics.uploads,
    }
    return CliRunner().invoke(app, ["replay", *arguments], env=environment)
