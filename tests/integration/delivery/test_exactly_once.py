"""Exactly one committed outcome for every record, through crashes, zombies, rebalances and broker restarts."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.kafka.connection import KafkaConnection, stop_client
from testing.kafka import KafkaBroker, running_kafka
from testing.waiting import wait_until
from tests.integration.delivery.world import PARTITIONS, World

pytestmark = pytest.mark.docker

QUICK = {"sleep_s": 0.002}


async def test_a_slow_record_holds_back_neither_outcomes_nor_their_progress(world: World) -> None:
    await world.publish([world.waiting] + [QUICK] * 20)
    async with world.processor():
        await world.outcomes(20)
        # A transaction's marker may reach the outcomes before it reaches the offsets.
        await wait_until(lambda: bitmaps(world), description="progress is stored above the base")
        world.gate.touch()
        await world.every_record_has_one_outcome()


async def test_a_record_larger_than_a_fetch_is_read_all_the_same(world: World) -> None:
    padding = "x" * (2 * world.settings.kafka.max_partition_fetch_bytes)
    await world.publish([QUICK, {**QUICK, "padding": padding}, QUICK])
    async with world.processor():
        await world.every_record_has_one_outcome()


async def bitmaps(world: World) -> bool:
    """Return whether anything is stored as finished above a base."""
    return any([(await world.stored(partition)).bitmap for partition in range(PARTITIONS)])


async def test_after_a_crash_only_what_was_unfinished_is_judged_again(world: World) -> None:
    await world.publish([world.waiting] + [QUICK] * 20)
    with world.worker() as first:
        await world.outcomes(20)
        first.signal(signal.SIGKILL)
        await first.end()
    world.gate.touch()
    with world.worker() as second:
        await world.every_record_has_one_outcome()
        assert world.judged_by(second) == [0]
        await wait_until(lambda: all_finished(world), description="every base is at the end")


async def all_finished(world: World) -> bool:
    """Return whether the bases alone say that all records are finished."""
    stored = [await world.stored(partition) for partition in range(PARTITIONS)]
    return sum(progress.base for progress in stored) == 21 and not any(progress.bitmap for progress in stored)


async def test_kills_in_the_middle_lose_and_double_nothing(world: World) -> None:
    await world.publish([QUICK] * 6000)
    for outcomes in (500, 2000, 4000):
        with world.worker() as worker:
            await world.outcomes(outcomes)
            worker.signal(signal.SIGKILL)
            await worker.end()
    with world.worker():
        await world.every_record_has_one_outcome()


async def test_sigterm_finishes_what_is_in_flight_and_takes_nothing_more(world: World) -> None:
    await world.publish([{"sleep_s": 1.0}] * 1000)
    with world.worker() as worker:
        await world.outcomes(1)
        worker.signal(signal.SIGTERM)
        assert await worker.end() == 0
    await world.reader.linger(quiet_s=1.0)
    # One window was finished before the signal, and the one in flight after it.
    assert len(world.reader.records) == 2 * world.settings.window.max_records
    with world.worker():
        await world.every_record_has_one_outcome()


async def test_a_zombie_that_wakes_after_a_take_over_writes_nothing(world: World) -> None:
    await world.publish([QUICK] * 4000)
    with world.worker() as zombie:
        await world.outcomes(200)
        zombie.signal(signal.SIGSTOP)
        with world.worker() as successor:
            await world.outcomes(4000)
            zombie.signal(signal.SIGCONT)
            await world.publish([QUICK] * 500)
            await world.every_record_has_one_outcome()
            assert len(world.judged_by(successor)) > 0


@pytest.fixture
def mortal_kafka() -> Iterator[KafkaBroker]:
    """A broker of its own; killed, it is let in again once its session has ended: back in 5 to 10 s with one of 2 s."""
    sessions = {"KAFKA_BROKER_SESSION_TIMEOUT_MS": "2000", "KAFKA_BROKER_HEARTBEAT_INTERVAL_MS": "500"}
    with running_kafka(**sessions) as broker:
        yield broker


async def test_a_broker_that_is_killed_and_comes_back_loses_and_doubles_nothing(
    mortal_kafka: KafkaBroker, tmp_path: Path
) -> None:
    async with World.build(mortal_kafka.bootstrap_servers, tmp_path) as world:
        await world.publish([QUICK] * 8000)
        with world.worker():
            await world.outcomes(500)
            await asyncio.to_thread(mortal_kafka.kill)
            await asyncio.to_thread(mortal_kafka.start)
            await world.every_record_has_one_outcome()


async def test_a_fenced_producer_is_rebuilt_and_no_record_is_judged_twice(world: World) -> None:
    await world.publish([{"sleep_s": 0.2}] * 1500)
    async with world.processor() as handler:
        await world.outcomes(100)
        for partition in range(PARTITIONS):
            await fence(world, partition)
        await world.every_record_has_one_outcome()
    assert len(handler.jobs) == 1500


async def fence(world: World, partition: int) -> None:
    """Do what a second owner of a partition would do first."""
    settings = world.settings
    name = f"{settings.kafka.group_id}.{settings.topics.uploads}.{partition}"
    rival = KafkaConnection(settings.kafka).transactional_producer(name, timeout_s=10.0)
    await rival.start()
    await stop_client(rival)


async def test_work_in_flight_survives_a_rebalance(world: World) -> None:
    await world.publish([world.waiting] * 40)
    async with world.processor() as handler:
        await wait_until(lambda: len(handler.jobs) == 40, description="all records are in flight")
        with world.worker():
            await wait_until(lambda: shared(world), description="another process has a partition", timeout_s=60)
            world.gate.touch()
            await world.every_record_has_one_outcome()
    # What stayed here was not judged a second time here.
    assert len(handler.jobs) == 40


async def shared(world: World) -> bool:
    """Return whether two members of the group hold partitions."""
    admin = KafkaConnection(world.settings.kafka).admin()
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([world.settings.kafka.group_id])
    finally:
        await admin.close()
    (group,) = answer.groups
    state, members = group[2], group[5]
    return state == "Stable" and len(members) == 2
