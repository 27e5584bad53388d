"""A topic is followed from near its end, on Apache Kafka."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from service.core.records import SourceRecord
from service.kafka.follower import Follower
from service.settings.kafka import KafkaSettings
from testing.kafka import KafkaBroker
from testing.topics import create_topics, publish
from testing.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]

Seen = list[bytes | None]


@pytest.fixture
def topic() -> str:
    return f"outcomes-{uuid4().hex[:8]}"


@asynccontextmanager
async def following(kafka: KafkaBroker, topic: str, *, backlog: int = 100) -> AsyncIterator[Seen]:
    """Follow a topic during the block, and yield the values that were seen so far."""
    seen: Seen = []

    def on_records(records: Sequence[SourceRecord]) -> None:
        seen.extend(record.value for record in records)

    settings = KafkaSettings(bootstrap_servers=kafka.bootstrap_servers)
    follower = Follower(
        settings, topic, setting="topics.verdicts", backlog=backlog, on_records=on_records, refresh_s=0.1, pause_s=0.1
    )
    task = asyncio.create_task(follower.run())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.wait([task])


async def send(kafka: KafkaBroker, topic: str, *values: str) -> None:
    # Without keys they go to one partition; with keys to all.
    await publish(kafka.bootstrap_servers, topic, [(value.encode(), value.encode(), []) for value in values])


def has(seen: Seen, value: str) -> Callable[[], bool]:
    return lambda: value.encode() in seen


async def test_the_newest_records_and_all_further_ones_are_read(kafka: KafkaBroker, topic: str) -> None:
    await create_topics(kafka.bootstrap_servers, [topic], partitions=3)
    await send(kafka, topic, *(f"old-{number}" for number in range(300)))
    async with following(kafka, topic, backlog=30) as seen:
        await wait_until(lambda: len(seen) == 30, description="the newest of each partition are read")
        await send(kafka, topic, "new")
        await wait_until(has(seen, "new"), description="the new record is read")
    assert len(seen) == 31


async def test_a_topic_that_is_made_later_is_followed(kafka: KafkaBroker, topic: str) -> None:
    async with following(kafka, topic) as seen:
        await asyncio.sleep(0.5)
        await create_topics(kafka.bootstrap_servers, [topic], partitions=1)
        await send(kafka, topic, "new")
        await wait_until(has(seen, "new"), description="the new record is read")


async def test_added_partitions_are_followed_and_nothing_is_read_twice(kafka: KafkaBroker, topic: str) -> None:
    await create_topics(kafka.bootstrap_servers, [topic], partitions=1)
    await send(kafka, topic, "first")
    async with following(kafka, topic) as seen:
        await wait_until(has(seen, "first"), description="the first record is read")
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
        await admin.start()
        await admin.create_partitions({topic: NewPartitions(4)})
        await admin.close()
        more = [f"more-{number}" for number in range(40)]
        await send(kafka, topic, *more)
        await wait_until(lambda: len(seen) >= 41, description="the records of all partitions are read")
    assert sorted(filter(None, seen)) == sorted(each.encode() for each in ["first", *more])
