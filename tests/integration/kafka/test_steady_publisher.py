"""Records of many callers are published by one producer, on Apache Kafka."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from service.core.records import OutgoingRecord
from service.kafka.connection import KafkaConnection, stop_client
from service.kafka.errors import PublishError
from service.kafka.steady_publisher import SteadyPublisher
from service.settings.kafka import KafkaSettings
from testing.kafka import KafkaBroker
from testing.topics import committed_reader, create_topics

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]


@pytest.fixture
async def topic(kafka: KafkaBroker) -> str:
    name = f"uploads-{uuid4().hex[:8]}"
    await create_topics(kafka.bootstrap_servers, [name], partitions=3)
    return name


@pytest.fixture
async def publisher(kafka: KafkaBroker) -> AsyncIterator[SteadyPublisher]:
    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)
    publisher = SteadyPublisher(KafkaConnection(settings), is_idempotent=True, timeout_s=5.0)
    yield publisher
    await publisher.close()


def record(topic: str, number: int) -> OutgoingRecord:
    value = str(number).encode()
    return OutgoingRecord(topic, value, value, (("name", b"value"),))


async def published(kafka: KafkaBroker, topic: str) -> list[int]:
    async with committed_reader(kafka.bootstrap_servers, [topic]) as reader:
        await reader.until(1)
        await reader.linger()
    assert {tuple(each.headers) for each in reader.records} == {(("name", b"value"),)}
    return sorted(int(each.value) for each in reader.records)


async def test_records_of_callers_at_the_same_time_are_published_once(
    kafka: KafkaBroker, topic: str, publisher: SteadyPublisher
) -> None:
    await asyncio.gather(*(publisher.publish(record(topic, number)) for number in range(200)))
    assert await published(kafka, topic) == list(range(200))


async def test_a_new_producer_replaces_one_that_failed(
    kafka: KafkaBroker, topic: str, publisher: SteadyPublisher
) -> None:
    await publisher.publish(record(topic, 1))
    assert publisher._producer is not None
    await stop_client(publisher._producer)
    with pytest.raises(PublishError):
        await publisher.publish(record(topic, 2))
    await publisher.publish(record(topic, 3))
    assert await published(kafka, topic) == [1, 3]


async def test_brokers_that_do_not_answer_in_time_are_an_error_that_passes(
    kafka: KafkaBroker, topic: str, publisher: SteadyPublisher
) -> None:
    await publisher.publish(record(topic, 1))
    kafka.pause()
    try:
        with pytest.raises(PublishError):
            await publisher.publish(record(topic, 2))
    finally:
        kafka.unpause()
    await publisher.publish(record(topic, 3))
    # The second one was on its way, and is published once at most.
    assert await published(kafka, topic) in ([1, 3], [1, 2, 3])
