"""`python -m benchmarks.peers.feeder TASK BACKLOG`: keeps a backlog of that size until all records are fed."""

import asyncio
import sys

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.peers.measured import RECORD_BYTES, Task, parse_task

ASK_AGAIN_S = 0.02


async def feed(task: Task, backlog: int) -> None:
    """Publish one backlog after the other, each when the group has committed the one before."""
    producer = AIOKafkaProducer(bootstrap_servers=task.address)
    admin = AIOKafkaAdminClient(bootstrap_servers=task.address)
    await admin.start()
    try:
        async with producer:
            for first in range(0, task.records, backlog):
                numbers = range(first, min(first + backlog, task.records))
                await asyncio.gather(*[await producer.send(task.source, _value(number)) for number in numbers])
                while await _committed(admin, task) < numbers.stop:  # noqa: ASYNC110 - brokers tell nobody of commits
                    await asyncio.sleep(ASK_AGAIN_S)
    finally:
        await admin.close()


async def _committed(admin: AIOKafkaAdminClient, task: Task) -> int:
    place = TopicPartition(task.source, 0)
    stored = await admin.list_consumer_group_offsets(task.group_id, partitions=[place])
    # No answer while the group's coordinator is on its way; -1 before the first commit.
    offset: int = stored[place].offset if place in stored else -1
    return offset


def _value(number: int) -> bytes:
    return (b"%08d" % number).ljust(RECORD_BYTES, b".")


if __name__ == "__main__":
    asyncio.run(feed(parse_task(), int(sys.argv[2])))
