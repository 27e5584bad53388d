"""Topics that accept less than the settings say: one large outcome is cut or replaced, and stops no other."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError

from service.core.records import OutgoingRecord
from service.delivery.handler import Job
from service.delivery.processor import Processor
from service.delivery.retry import retry_tiers
from service.kafka.connection import KafkaConnection
from service.kafka.errors import TopicLimitError, TopicMissingError
from service.kafka.topic_configs import topic_configs
from service.kafka.topic_limits import TOPIC_CONFIG, TopicLimits
from service.settings.delivery import CommitSettings
from testing.kafka import KafkaBroker
from testing.stream_worker import ObedientHandler
from testing.topics import publish
from testing.waiting import wait_until
from tests.integration.delivery.world import Orders, World

pytestmark = pytest.mark.docker

LIMIT_BYTES = 100_000
LARGE_BYTES = 150_000
"""More than a topic of the test accepts, and compressing does not help."""
# So many outcomes share a transaction that one at fault has innocent ones beside it.
GATHERING = CommitSettings(interval_s=0.5, timeout_s=5.0, transaction_timeout_s=10.0)


def incompressible(size_bytes: int = LARGE_BYTES) -> str:
    return base64.b64encode(os.urandom(size_bytes)).decode()


async def accept(world: World, topic: str, max_bytes: int = LIMIT_BYTES) -> None:
    """Set how large a record may be, and wait until the broker goes by it."""
    probe = f"probe-{uuid4()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=world.settings.kafka.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(probe, 1, 1)])
        for name, limit in ((topic, max_bytes), (probe, 100)):
            config = ConfigResource(ConfigResourceType.TOPIC, name, {"max.message.bytes": str(limit)})
            await admin.alter_configs([config])
    finally:
        await admin.close()
    connection = KafkaConnection(world.settings.kafka)

    async def is_announced() -> bool:
        return await topic_configs(connection, [topic], [TOPIC_CONFIG]) == {topic: {TOPIC_CONFIG: str(max_bytes)}}

    await wait_until(is_announced, description="the limit is announced", timeout_s=10)
    # A broker announces a limit a moment before it goes by it. It takes changes in their order.
    async with AIOKafkaProducer(bootstrap_servers=world.settings.kafka.bootstrap_servers) as producer:

        async def is_kept() -> bool:
            try:
                await producer.send_and_wait(probe, os.urandom(1000))
            except MessageSizeTooLargeError:
                return True
            return False

        await wait_until(is_kept, description="the limit is in force", timeout_s=10)


def reasons(world: World) -> dict[int, bytes]:
    dead_letters = world.reader.of(world.settings.topics.dead_letters)
    return {int(dead_letter.key): dict(dead_letter.headers)["modstream-reason"] for dead_letter in dead_letters}


@asynccontextmanager
async def processing(world: World, *, verdict_bytes: int = 0) -> AsyncIterator[None]:
    """Run a processor that gathers; a record with `large` gets a verdict of so many bytes."""

    class Handler(ObedientHandler):
        async def __call__(self, job: Job, /) -> tuple[OutgoingRecord, ...]:
            outcomes = await super().__call__(job)
            if b"large" not in (job.record.value or b""):
                return outcomes
            return tuple(
                OutgoingRecord(each.topic, each.key, os.urandom(verdict_bytes), each.headers) for each in outcomes
            )

    settings = world.settings.model_copy(update={"commit": GATHERING})
    processor = Processor(settings, Handler(world.settings.topics.verdicts))
    run = asyncio.create_task(processor.run())
    try:
        yield
    finally:
        processor.drain()
        await run


async def test_a_broken_event_larger_than_its_topic_accepts_is_cut_and_stops_no_other(world: World) -> None:
    await accept(world, world.settings.topics.dead_letters)
    await world.publish([{}, {"fail": "rejected", "pad": incompressible()}, {}, {"fail": "rejected"}, {}])
    async with processing(world):
        await world.every_record_has_one_outcome()
    assert reasons(world) == {1: b"test.rejected", 3: b"test.rejected"}
    large, small = sorted(world.reader.of(world.settings.topics.dead_letters), key=lambda each: int(each.key))
    assert LIMIT_BYTES / 2 < len(large.value) < LIMIT_BYTES
    assert dict(large.headers)["modstream-truncated"] == b"headers,value,key"
    assert "modstream-truncated" not in dict(small.headers)


@pytest.mark.parametrize("is_readable", [True, False])
async def test_a_limit_that_is_lowered_while_running_stops_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, *, is_readable: bool
) -> None:
    if not is_readable:
        monkeypatch.setattr(TopicLimits, "reads_with", lambda *_: None)
    async with processing(world, verdict_bytes=LARGE_BYTES):
        await world.publish([{}])
        await world.outcomes(1)
        await accept(world, world.settings.topics.dead_letters, LIMIT_BYTES)
        await accept(world, world.settings.topics.verdicts, LIMIT_BYTES)
        orders: list[Orders] = [
            {"fail": "rejected", "pad": incompressible()},
            {"large": 1},
            {},
            {},
            {"large": 1, "pad": incompressible()},
        ]
        await world.publish(orders * 3)
        await world.every_record_has_one_outcome()
    expected = {n: (b"test.rejected", b"outcome.too_large", b"", b"", b"outcome.too_large")[n % 5] for n in range(15)}
    assert reasons(world) == {n + 1: reason for n, reason in expected.items() if reason}


async def test_what_compresses_well_is_published_whole(world: World) -> None:
    await accept(world, world.settings.topics.dead_letters)
    await world.publish([{"fail": "rejected", "pad": "x" * 2 * LARGE_BYTES}, {}])
    async with processing(world):
        await world.every_record_has_one_outcome()
    (dead_letter,) = world.reader.of(world.settings.topics.dead_letters)
    assert len(dead_letter.value) > 2 * LARGE_BYTES
    assert "modstream-truncated" not in dict(dead_letter.headers)


async def test_small_outcomes_that_are_too_large_together_are_all_published(world: World) -> None:
    await accept(world, world.settings.topics.verdicts, 20_000)
    await world.publish([{"large": 1}] * 60)
    async with processing(world, verdict_bytes=5000):
        await world.every_record_has_one_outcome()
    assert reasons(world) == {}


async def test_headers_that_are_too_large_alone_are_left_out(world: World) -> None:
    await accept(world, world.settings.topics.dead_letters)
    headers = (("own", os.urandom(LARGE_BYTES)), *((f"h{n}", b"") for n in range(20_000)))
    await publish(
        world.settings.kafka.bootstrap_servers,
        world.settings.topics.uploads,
        [(b"0", b'{"fail": "rejected"}', headers)],
    )
    async with processing(world):
        await world.outcomes(1)
    (dead_letter,) = world.reader.of(world.settings.topics.dead_letters)
    assert dict(dead_letter.headers)["modstream-truncated"] == b"headers"
    assert dead_letter.value == b'{"fail": "rejected"}'


@pytest.mark.parametrize("is_known_at_start", [True, False])
async def test_a_record_that_does_not_fit_its_retry_topic_becomes_a_dead_letter(
    kafka: KafkaBroker, tmp_path: Path, *, is_known_at_start: bool
) -> None:
    async with World.build(kafka.bootstrap_servers, tmp_path, tiers=("1s",)) as world:
        (tier,) = retry_tiers(world.settings)
        if is_known_at_start:
            await accept(world, tier.topic)
        async with processing(world):
            await world.publish([{}])
            await world.outcomes(1)
            await accept(world, tier.topic)
            await world.publish([{"fail": "transient", "pad": incompressible()}, {}, {"fail": "transient"}])
            await world.every_record_has_one_outcome()
        assert set(reasons(world)) == {1, 3}
        (large,) = [each for each in world.reader.of(world.settings.topics.dead_letters) if each.key == b"1"]
        assert len(large.value) > LARGE_BYTES


async def test_a_topic_that_accepts_next_to_nothing_stops_the_start_and_is_named(world: World) -> None:
    await accept(world, world.settings.topics.dead_letters, 100)
    with pytest.raises(TopicLimitError, match=r"topics\.dead_letters.*max\.message\.bytes"):
        await Processor(world.settings, ObedientHandler("nowhere")).run()


async def test_a_refused_outcome_is_replaced_without_transactions_too(kafka: KafkaBroker, tmp_path: Path) -> None:
    async with World.build(kafka.bootstrap_servers, tmp_path, delivery="at_least_once") as world:
        async with processing(world, verdict_bytes=LARGE_BYTES):
            await world.publish([{}])
            await world.outcomes(1)
            await accept(world, world.settings.topics.verdicts)
            await world.publish([{"large": 1}, {}, {}])
            await world.reader.until(4)
        assert reasons(world)[1] == b"outcome.too_large"


async def test_a_topic_that_is_deleted_while_running_stops_the_service_and_is_named(world: World) -> None:
    topic = world.settings.topics.verdicts
    admin = AIOKafkaAdminClient(bootstrap_servers=world.settings.kafka.bootstrap_servers)
    await admin.start()
    processor = Processor(world.settings, ObedientHandler(topic))
    run = asyncio.create_task(processor.run())
    await world.publish([{}])
    await world.outcomes(1)
    await admin.delete_topics([topic])
    await admin.close()
    await world.publish([{}])
    with pytest.raises(TopicMissingError, match=r"verdicts.*topics\.verdicts"):
        await run
