"""On Kafka: a record is given up by hand, beside a service or without one, and has exactly one outcome."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.delivery.processor import Processor
from service.settings.delivery import DeadLetterSettings
from testing.kafka import KafkaBroker
from testing.raw_batches import ZSTD, batch_of, bomb, send_raw
from testing.stream_worker import ObedientHandler
from testing.topics import committed_reader, create_topics
from testing.waiting import wait_until
from tests.integration.delivery.world import World

WHY = ("--why", "hangs the engine", "--execute")


async def skip(world: World, folder: Path, place: str, *arguments: str) -> Result:
    config = folder / "settings.yaml"
    config.write_text(world.settings.model_dump_json(exclude_defaults=True))
    separator = ":" if ":" in place else "/"
    record = f"{world.settings.topics.uploads}{separator}{place}"
    command = ["dead-letters", "skip", record, "-c", str(config), *arguments]
    return await asyncio.to_thread(CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke, app, command)


async def send(world: World, *values: bytes) -> None:
    kafka, topics = world.settings.kafka, world.settings.topics
    await send_raw(kafka.bootstrap_servers, topics.uploads, 0, batch_of(*values))


def dead_offsets(world: World) -> list[tuple[bytes, bytes]]:
    dead_letters = [dict(dead_letter.headers) for dead_letter in world.reader.of(world.settings.topics.dead_letters)]
    return [(each["modstream-reason"], each["modstream-origin-offset"]) for each in dead_letters]


async def test_a_record_that_ends_every_process_is_skipped_while_none_runs(world: World, tmp_path: Path) -> None:
    await send(world, b"{}", b'{"fail": "fatal"}', b"{}")
    with world.worker() as worker:
        assert await worker.end() == 1

    for place in ("0/1", "0:1"):
        would = await skip(world, tmp_path, place)
        assert (would.exit_code, "would be skipped" in would.stdout) == (0, True)
    done = await skip(world, tmp_path, "0/1", *WHY)
    assert (done.exit_code, "skipped: key" in done.stdout) == (0, True)
    async with world.processor():
        await world.outcomes(3)
        await world.reader.linger()

    assert len(world.reader.records) == 3
    assert dead_offsets(world) == [(b"record.skipped", b"1")]
    (dead_letter,) = world.reader.of(world.settings.topics.dead_letters)
    assert dead_letter.value == b'{"fail": "fatal"}'
    assert b"hangs the engine" in dict(dead_letter.headers)["modstream-message"]


async def test_a_record_in_flight_is_skipped_beside_the_service(world: World, tmp_path: Path) -> None:
    hanging = orjson.dumps(world.waiting)
    await send(world, hanging, b"{}", hanging)
    async with world.processor() as handler:
        await wait_until(lambda: len(handler.jobs) == 3, description="all are in flight")
        done = await skip(world, tmp_path, "0/0", *WHY)
        assert done.exit_code == 0
        await send(world, b"{}", b"{}")
        await world.outcomes(4)
        world.gate.touch()
        await world.outcomes(5)
        await world.reader.linger()

    assert len(world.reader.records) == 5
    assert dead_offsets(world) == [(b"record.skipped", b"0")]


async def test_a_service_with_nothing_else_to_commit_notices_that_its_record_was_skipped(
    world: World, tmp_path: Path
) -> None:
    await send(world, orjson.dumps(world.waiting))
    processor = Processor(world.settings, ObedientHandler(world.settings.topics.verdicts))
    running = asyncio.create_task(processor.run())
    await wait_until(lambda: processor.counters().in_flight == 1, description="it is in flight")
    done = await skip(world, tmp_path, "0/0", *WHY)
    assert done.exit_code == 0
    await wait_until(lambda: processor.counters().in_flight == 0, description="its work is given up", timeout_s=20)
    processor.drain()
    await running
    await world.outcomes(1)
    await world.reader.linger()

    assert len(world.reader.records) == 1
    assert dead_offsets(world) == [(b"record.skipped", b"0")]


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("0/0", "it is finished"),
        ("0/9", "the partition ends before it"),
        ("7/0", "the topic has 2 partitions"),
        ("1/0", "the partition ends before it"),
    ],
)
async def test_what_cannot_be_skipped_is_refused(world: World, tmp_path: Path, place: str, says: str) -> None:
    await send(world, b"{}", b"{}")
    async with world.processor():
        await world.outcomes(2)

    refused = await skip(world, tmp_path, place, *WHY)

    assert refused.exit_code == 1
    assert says in refused.stderr
    await world.reader.linger()
    assert len(world.reader.records) == 2


async def test_a_record_is_skipped_once(world: World, tmp_path: Path) -> None:
    await send(world, b"{}", b"{}")

    results = [await skip(world, tmp_path, "0/1", *WHY) for _ in range(2)]

    assert [result.exit_code for result in results] == [0, 1]
    await world.outcomes(1)
    await world.reader.linger()
    assert dead_offsets(world) == [(b"record.skipped", b"1")]


async def test_what_cannot_be_read_can_be_skipped(world: World, tmp_path: Path) -> None:
    kafka, topics = world.settings.kafka, world.settings.topics
    await send_raw(kafka.bootstrap_servers, topics.uploads, 0, bomb(ZSTD, 20 * 1024 * 1024))

    done = await skip(world, tmp_path, "0/0", *WHY)

    assert done.exit_code == 0
    await world.outcomes(1)
    (dead_letter,) = world.reader.of(topics.dead_letters)
    assert b"the record cannot be read" in dict(dead_letter.headers)["modstream-message"]
    assert dict(dead_letter.headers)["modstream-raw"] == b"batch"


async def test_a_record_is_skipped_with_a_notice_for_its_tenant(world: World, tmp_path: Path) -> None:
    kafka = world.settings.kafka
    settings = DeadLetterSettings(notice_tenants=("shop",))
    world.settings = world.settings.model_copy(update={"dead_letter": settings})
    topic = f"{world.settings.topics.dead_letters}.notices.shop"
    await create_topics(kafka.bootstrap_servers, [topic], partitions=1)
    await send(world, b'{"tenant": "shop"}', b'{"tenant": "other"}')

    for place in ("0/0", "0/1"):
        assert (await skip(world, tmp_path, place, *WHY)).exit_code == 0

    await world.outcomes(2)
    async with committed_reader(kafka.bootstrap_servers, [topic]) as notices:
        await notices.until(1)
        await notices.linger()
    (notice,) = notices.records
    headers = dict(notice.headers)
    assert (notice.key, notice.value) == (b"k0", None)
    assert (headers["modstream-reason"], headers["modstream-origin-offset"]) == (b"record.skipped", b"0")


@pytest.fixture
async def plain_world(kafka: KafkaBroker, tmp_path: Path) -> AsyncIterator[World]:
    """Topics of its own, worked on without transactions."""
    async with World.build(kafka.bootstrap_servers, tmp_path, delivery="at_least_once") as world:
        yield world


async def test_without_transactions_a_record_is_skipped_while_no_process_runs(
    plain_world: World, tmp_path: Path
) -> None:
    world = plain_world
    await send(world, b"{}", orjson.dumps(world.waiting), b"{}")
    with world.worker() as worker:
        await world.outcomes(2)
        refused = await skip(world, tmp_path, "0/1", *WHY)
        assert refused.exit_code == 1
        assert "stop them, skip the record, and start them again" in " ".join(refused.stderr.split())
        worker.signal(signal.SIGKILL)
    await wait_until(lambda: skipped(world, tmp_path), description="the dead process has left", every_s=0.5)
    async with world.processor():
        await send(world, b"{}")
        await world.outcomes(4)
        await world.reader.linger()

    assert dead_offsets(world) == [(b"record.skipped", b"1")]
    assert len(world.reader.records) == 4


async def skipped(world: World, folder: Path) -> bool:
    """Skip the second record and return whether that worked."""
    return (await skip(world, folder, "0/1", *WHY)).exit_code == 0
