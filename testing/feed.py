"""Uploads that keep coming at a pace."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer

Upload = tuple[bytes, bytes]
"""Key and value."""

# As fine as a person can see; a publication for each image would cost more than it shows.
BEAT_S = 0.1


class Feed:
    """Publishes the given uploads; its pace may change while it runs."""

    def __init__(self, upload: Callable[[int], Upload], *, pace: float) -> None:
        self.upload = upload
        self.pace = pace
        """Uploads a second."""
        self.published = 0

    async def run(self, producer: AIOKafkaProducer, topic: str) -> None:
        """Publish until cancelled."""
        loop = asyncio.get_running_loop()
        due, owed = loop.time(), 0.0
        while True:
            owed += self.pace * BEAT_S
            for _ in range(int(owed)):
                key, value = self.upload(self.published)
                await producer.send(topic, value, key)
                self.published += 1
            owed %= 1
            due += BEAT_S
            await asyncio.sleep(due - loop.time())


@asynccontextmanager
async def feeding(feed: Feed, bootstrap_servers: str, topic: str) -> AsyncIterator[Feed]:
    """Publish until the block ends."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap_servers) as producer:
        task = asyncio.create_task(feed.run(producer, topic), name="feed")
        try:
            yield feed
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await producer.flush()
