"""`python -m benchmarks.peers.feeder TASK BACKLOG PHOTOGRAPHS`: keeps a backlog of that size until all is fed."""

import asyncio
import sys
from collections.abc import Callable
from functools import partial

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.peers.measured import Task, numbered, parse_task
from benchmarks.photographs import by_reference

ASK_AGAIN_S = 0.02


async def feed(task: Task, backlog: int, value: Callable[[int], bytes]) -> None:
    """Publish one backlog after the other, each when the group has committed the one before."""
    producer = AIOKafkaProducer(bootstrap_servers=task.address)
    admin = AIOKafkaAdminClient(bootstrap_servers=task.address)
    await admin.start()
    try:
        async with producer:
            for first in range(0, task.records, backlog):
                numbers = range(first, min(first + backlog, task.records))
                await asyncio.gather(*[await producer.send(task.source, value(number)) for number in numbers])
                while await _committed(admin, task) < numbers.stop:  # noqa: ASYNC110 - brokers do not notify of commits
                    await asyncio.sleep(ASK_AGAIN_S)
    finally:
        await admin.close()


async def _committed(admin: AIOKafkaAdminClient, task: Task) -> int:
    place = TopicPartition(task.source, 0)
    stored = await admin.list_consumer_group_offsets(task.group_id, partitions=[place])
    # No answer while the group's coordinator is on its way; -1 before the first commit.
    offset: int = stored[place].offset if place in stored else -1
    return offset


if __name__ == "__main__":
    backlog, address = int(sys.argv[2]), sys.argv[3]
    asyncio.run(feed(parse_task(), backlog, partial(by_reference, address) if address else numbered))
