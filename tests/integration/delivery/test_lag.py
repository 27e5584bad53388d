"""Lag is 0 when there is nothing to do, as the brokers count it and as the service does."""

import asyncio
from pathlib import Path

import orjson
import pytest
from aiokafka import TopicPartition

from service.delivery.processor import Processor
from service.delivery.retry import retry_tiers
from service.delivery.status import StreamStatus
from testing.kafka import KafkaBroker
from testing.logs import brokers_lag, publish_in_transaction, stored_offsets
from testing.stream_worker import ObedientHandler
from testing.waiting import wait_until
from tests.integration.delivery.world import PARTITIONS, World

pytestmark = pytest.mark.docker

QUICK = orjson.dumps({})


async def is_idle(world: World, topic: str | None = None) -> bool:
    """Return whether the brokers see no lag in a topic."""
    places = [TopicPartition(topic or world.settings.topics.uploads, n) for n in range(PARTITIONS)]
    kafka = world.settings.kafka
    return await brokers_lag(kafka.bootstrap_servers, kafka.group_id, places) == 0


def stream_of(processor: Processor) -> StreamStatus:
    """Return what the processor reports of its stream."""
    stream = processor.status().stream
    assert stream is not None
    return stream


def stream_lag(processor: Processor) -> int:
    """Return the lag that metrics and health show."""
    return sum(partition.lag for partition in stream_of(processor).partitions)


@pytest.mark.parametrize("outcome", ["commit", "abort"])
async def test_a_transaction_at_the_end_of_the_log_is_no_lag(world: World, outcome: str) -> None:
    place = TopicPartition(world.settings.topics.uploads, 0)
    messages = [(b"%d" % n, QUICK) for n in range(5)]
    async with world.processor():
        await publish_in_transaction(world.settings.kafka.bootstrap_servers, place, messages)
        await world.outcomes(5)
        await publish_in_transaction(world.settings.kafka.bootstrap_servers, place, messages, outcome=outcome)
        await world.outcomes(10 if outcome == "commit" else 5)
        await wait_until(lambda: is_idle(world), description="the brokers see no lag")
        assert (await world.stored(0)).base == 12


async def test_a_transaction_behind_a_record_that_is_slow_is_passed_once_that_is_done(world: World) -> None:
    place = TopicPartition(world.settings.topics.uploads, 0)
    address = world.settings.kafka.bootstrap_servers
    async with world.processor() as handler:
        await publish_in_transaction(address, place, [(b"0", orjson.dumps(world.waiting))])
        await publish_in_transaction(address, place, [(b"1", QUICK)], outcome="abort")
        await wait_until(lambda: len(handler.jobs) == 1, description="the record is in flight")
        world.gate.touch()
        await wait_until(lambda: is_idle(world), description="the brokers see no lag")


async def test_retry_topics_and_the_uploads_come_to_rest(world_with_retries: World) -> None:
    world = world_with_retries
    (tier,) = retry_tiers(world.settings)
    mended = world.gate
    await world.publish([{"fail": "transient", "mended": str(mended)}] * 4)
    handler = ObedientHandler(world.settings.topics.verdicts)
    processor = Processor(world.settings, handler)
    running = asyncio.create_task(processor.run())
    await wait_until(lambda: len(handler.jobs) >= 4, description="the first attempts are made")
    mended.touch()
    await world.outcomes(4)
    await wait_until(lambda: is_idle(world), description="the brokers see no lag in the uploads")
    await wait_until(lambda: is_idle(world, tier.topic), description="nor in the retry topic")
    await wait_until(lambda: stream_lag(processor) == 0, description="the service sees no lag")
    # Transactions of these offsets put no marker into the topics, so nothing has to be committed again.
    kafka = world.settings.kafka
    places = [TopicPartition(tier.topic, n) for n in range(PARTITIONS)]
    before = await stored_offsets(kafka.bootstrap_servers, kafka.group_id, places)
    answered_at_s = stream_of(processor).brokers_answered_at_s
    await wait_until(
        lambda: stream_of(processor).brokers_answered_at_s != answered_at_s,
        description="the log is checked again",
    )
    assert await stored_offsets(kafka.bootstrap_servers, kafka.group_id, places) == before
    processor.drain()
    await running


async def test_lag_is_zero_with_delivery_at_least_once_too(kafka: KafkaBroker, tmp_path: Path) -> None:
    async with World.build(kafka.bootstrap_servers, tmp_path, delivery="at_least_once") as world:
        place = TopicPartition(world.settings.topics.uploads, 0)
        async with world.processor():
            await publish_in_transaction(kafka.bootstrap_servers, place, [(b"0", QUICK)])
            await world.outcomes(1)
            await wait_until(lambda: is_idle(world), description="the brokers see no lag")
