"""Offsets that go backwards or away: nothing is skipped or repeated without a word, and one setting says what to do."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest
from aiokafka import TopicPartition

from service.delivery.lost_offsets import Choice
from service.delivery.processor import Processor
from service.delivery.status import PartitionStatus
from service.kafka.errors import OffsetsLostError
from service.settings.delivery import WindowSettings
from service.settings.settings import Settings
from testing.kafka import KafkaBroker
from testing.logs import (
    add_partitions,
    brokers_lag,
    create_topic,
    delete_records,
    delete_topic,
    publish_to,
    set_offsets,
    transaction,
)
from testing.stream_worker import ObedientHandler
from testing.waiting import wait_until
from tests.integration.delivery.world import PARTITIONS, World

pytestmark = pytest.mark.docker


class Place:
    """The first partition of a world's uploads, as uploaders and operators handle it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.address = world.settings.kafka.bootstrap_servers
        self.group = world.settings.kafka.group_id
        self.partition = TopicPartition(world.settings.topics.uploads, 0)

    async def publish(self, *numbers: int, **orders: object) -> None:
        """Publish records whose keys are numbers, one batch each."""
        messages = [(b"%d" % number, orjson.dumps(orders)) for number in numbers]
        await publish_to(self.address, self.partition, messages)

    async def set_offset(self, offset: int, metadata: str = "") -> None:
        """Store an offset while the group has no members."""
        await set_offsets(self.address, self.group, {self.partition: offset}, metadata=metadata)

    async def delete_before(self, offset: int) -> None:
        """Delete the records below an offset."""
        await delete_records(self.address, {self.partition: offset})

    async def recreate(self) -> None:
        """Delete the topic and make it again."""
        topic = self.partition.topic
        await delete_topic(self.address, topic)
        await wait_until(lambda: create_topic(self.address, topic, PARTITIONS), description="the topic is made again")

    def settings(self, choice: Choice = "stop", **changes: object) -> Settings:
        """Return the world's settings with another choice."""
        kafka = self.world.settings.kafka.model_copy(update={"on_lost_offsets": choice} | changes)
        return self.world.settings.model_copy(update={"kafka": kafka})

    async def stops(self) -> OffsetsLostError:
        """Run the processor until it stops by itself, for lost offsets."""
        processor = Processor(self.settings(), ObedientHandler(self.world.settings.topics.verdicts))
        with pytest.raises(OffsetsLostError) as raised:
            async with asyncio.timeout(60):
                await processor.run()
        return raised.value

    @asynccontextmanager
    async def going_on(self, choice: Choice = "stop", **changes: object) -> AsyncIterator["Running"]:
        """Run the processor, and drain it at the end."""
        handler = ObedientHandler(self.world.settings.topics.verdicts)
        processor = Processor(self.settings(choice, **changes), handler)
        running = asyncio.create_task(processor.run())
        try:
            yield Running(processor, handler)
        finally:
            processor.drain()
            await running

    async def judges(self, count: int, choice: Choice = "stop") -> None:
        """Run the processor until so many outcomes are there in all, and no more come."""
        async with self.going_on(choice):
            await self.world.outcomes(count)
            await self.world.reader.linger(quiet_s=1.0)
        assert len(self.world.reader.records) == count

    def judged(self) -> Counter[int]:
        """Return how often each number has an outcome."""
        return Counter(int(record.key) for record in self.world.reader.records)


class Running:
    """A processor at work."""

    def __init__(self, processor: Processor, handler: ObedientHandler) -> None:
        self.processor = processor
        self.handler = handler

    @property
    def lost(self) -> int:
        """How often it went on although log and offset contradict each other."""
        stream = self.processor.status().stream
        return stream.offsets_lost if stream else 0

    @property
    def partition(self) -> PartitionStatus | None:
        """What it reports of the first partition of the uploads."""
        stream = self.processor.status().stream
        return next((each for each in stream.partitions if each.partition.partition == 0), None) if stream else None


@pytest.fixture
def place(world: World) -> Place:
    """The first partition."""
    return Place(world)


async def test_an_offset_past_the_end_of_the_log_stops_the_service(place: Place) -> None:
    await place.publish(*range(10))
    await place.set_offset(20)
    error = await place.stops()
    assert error.facts["cause"] == "log_truncated"
    assert "offset 20 was reached, and the log ends at 10" in str(error)
    assert (await place.world.stored(0)).base == 20
    assert place.judged() == Counter()


async def test_an_offset_past_the_end_is_left_for_the_oldest_record_if_so_set(place: Place) -> None:
    await place.publish(*range(10))
    await place.set_offset(20)
    async with place.going_on("earliest") as running:
        await wait_until(lambda: running.lost == 1, description="it goes on")
        await place.publish(*range(10, 30))
        await place.world.outcomes(30)
    assert place.judged() == Counter(range(30))


async def test_an_offset_past_the_end_is_left_for_the_newest_record_if_so_set(place: Place) -> None:
    await place.publish(*range(10))
    await place.set_offset(20)
    async with place.going_on("latest") as running:
        await wait_until(lambda: running.lost == 1, description="it goes on")
        await wait_until(lambda: running.partition is not None, description="the partition is open")
        await place.publish(*range(10, 30))
        await place.world.outcomes(20)
    assert place.judged() == Counter(range(10, 30))


async def test_records_deleted_while_the_service_is_away_are_a_loss(place: Place) -> None:
    await place.publish(*range(10))
    await place.judges(10)
    await place.publish(*range(10, 60))
    await place.delete_before(50)
    error = await place.stops()
    assert error.facts["cause"] == "records_deleted"
    assert "the log begins at offset 50, above 10" in str(error)
    await place.judges(20, "earliest")
    assert place.judged() == Counter([*range(10), *range(50, 60)])


async def test_records_deleted_before_they_are_read_are_a_loss_while_the_service_runs(place: Place) -> None:
    settings = place.world.settings
    # One batch a fetch, so that aiokafka holds one of them and the rest is on the broker alone.
    padding = "x" * settings.kafka.max_partition_fetch_bytes
    place.world.settings = settings.model_copy(update={"window": WindowSettings(max_records=1, max_waiting=0)})
    async with place.going_on("earliest") as running:
        await place.publish(0, gate=str(place.world.gate))
        await wait_until(lambda: len(running.handler.jobs) == 1, description="the window is full")
        await place.publish(*range(1, 15), padding=padding)
        await place.delete_before(14)
        place.world.gate.touch()
        await wait_until(lambda: running.lost == 1, description="the loss is noticed")
        await wait_until(lambda: has_no_lag(place), description="the rest is judged")
        await place.world.reader.linger(quiet_s=1.0)
    judged = place.judged()
    assert {0, 14} <= judged.keys()
    assert set(judged.values()) == {1}


async def test_an_offset_that_is_gone_although_outcomes_exist_stops_the_service(
    place: Place, kafka: KafkaBroker
) -> None:
    await place.publish(*range(30))
    await place.judges(30)
    kafka.forget_group(place.group)
    error = await place.stops()
    assert error.facts["cause"] == "offset_missing"
    assert place.judged() == Counter(range(30))
    await place.judges(60, "earliest")


async def test_partitions_that_are_added_are_read_soon(place: Place) -> None:
    async with place.going_on(metadata_max_age_s=1.0):
        await place.publish(0)
        await place.world.outcomes(1)
        await add_partitions(place.address, place.partition.topic, PARTITIONS + 1)
        added = TopicPartition(place.partition.topic, PARTITIONS)
        await wait_until(lambda: is_published(place.address, added), description="the partition takes records")
        await place.world.reader.until(2, timeout_s=20)


async def is_published(address: str, partition: TopicPartition) -> bool:
    """Publish a record and return whether that worked."""
    try:
        await publish_to(address, partition, [(b"1", b"{}")])
    except AssertionError:  # the partition is not known yet
        return False
    return True


async def test_a_topic_made_again_while_the_service_runs_is_read_from_its_beginning_if_so_set(place: Place) -> None:
    async with place.going_on("earliest", metadata_max_age_s=1.0) as running:
        await place.publish(*range(5))
        await place.world.outcomes(5)
        await place.recreate()
        await place.publish(*range(5, 25))
        await place.world.outcomes(25)
        await place.world.reader.linger(quiet_s=1.0)
        assert running.lost >= 1
    assert place.judged().keys() == set(range(25))
    assert (await place.world.stored(0)).base == 20


async def test_a_topic_made_again_while_the_service_runs_stops_it(place: Place) -> None:
    processor = Processor(place.settings(metadata_max_age_s=1.0), ObedientHandler(place.world.settings.topics.verdicts))
    running = asyncio.create_task(processor.run())
    await place.publish(*range(5))
    await place.world.outcomes(5)
    await place.recreate()
    with pytest.raises(OffsetsLostError, match="topic_recreated"):
        async with asyncio.timeout(60):
            await running


async def test_a_topic_made_again_while_the_service_was_away_is_known_by_its_id(place: Place) -> None:
    await place.publish(*range(50))
    await place.judges(50)
    stored = await place.world.stored(0)
    await place.recreate()
    await place.publish(*range(50, 110))
    # As when the brokers that hold the offsets missed the deletion.
    await place.set_offset(stored.base, stored.encode())
    error = await place.stops()
    assert error.facts["cause"] == "topic_recreated"
    await place.judges(110, "earliest")
    assert place.judged() == Counter(range(110))


@pytest.mark.parametrize(("offset", "again"), [(4, range(4, 15)), (12, range(12, 15))])
async def test_an_offset_that_an_operator_sets_within_the_log_is_honoured(
    place: Place, offset: int, again: range
) -> None:
    await place.publish(*range(10))
    await place.judges(10)
    await place.publish(*range(10, 15))
    await place.set_offset(offset)
    await place.judges(10 + len(again))
    assert place.judged() == Counter(range(10)) + Counter(again)


async def test_a_log_whose_records_are_all_deleted_is_read_on_and_has_no_lag(place: Place) -> None:
    await place.publish(*range(10))
    await place.delete_before(10)
    async with place.going_on():
        await wait_until(lambda: has_no_lag(place), description="the brokers see no lag")
        await place.publish(10)
        await place.world.outcomes(1)
    assert place.judged() == Counter([10])


async def has_no_lag(place: Place) -> bool:
    """Return whether the brokers see no lag."""
    return await brokers_lag(place.address, place.group, [place.partition]) == 0


async def test_a_transaction_that_hangs_is_reported_with_what_waits_behind_it(place: Place) -> None:
    async with place.going_on() as running, transaction(place.address, "uploader-that-hangs") as uploader:
        await uploader.send_and_wait(place.partition.topic, b"{}", b"0", partition=0)
        await place.publish(*range(1, 51))
        await wait_until(
            lambda: running.partition is not None and running.partition.unstable == 51,
            description="51 records are known to wait",
        )
        assert running.partition is not None
        assert running.partition.unstable_since_s is not None
        await uploader.abort_transaction()
        await place.world.outcomes(50)
        await wait_until(
            lambda: running.partition is not None and running.partition.unstable == 0, description="nothing waits"
        )
        await wait_until(lambda: has_no_lag(place), description="the brokers see no lag")
