"""Reads the committed outcomes of a hostile hour and finds the input record that each of them answers."""

import time

import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from testing.chaos.feeder import stopped_soon
from testing.chaos.hostile.balance import HostileCounts, Place
from testing.house import House

POLL_MS = 200


async def read_outcomes(house: House, partitions: int, counts: HostileCounts) -> None:
    """Count verdicts and dead letters until cancelled."""
    topics = (house.verdicts, house.dead_letters)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=house.bootstrap_servers, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    async with stopped_soon(consumer):
        consumer.assign([TopicPartition(topic, number) for topic in topics for number in range(partitions)])
        while True:
            for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                for record in records:
                    _count(record, house, counts)


def _count(record: ConsumerRecord, house: House, counts: HostileCounts) -> None:
    now_s = time.monotonic()
    if record.topic == house.verdicts:
        source = orjson.loads(record.value)["source"]
        counts.count(Place(source["partition"], source["offset"]), "verdict", "", now_s)
        return
    headers = dict(record.headers)
    place = Place(int(headers["modstream-origin-partition"]), int(headers["modstream-origin-offset"]))
    counts.count(place, "dead letter", headers["modstream-reason"].decode(), now_s)
