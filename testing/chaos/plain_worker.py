"""`python -m testing.chaos.plain_worker SETTINGS_JSON`: the plain loop that is usually written first, at least once.

It publishes outcomes and commits offsets now and then, so a crash between the two publishes again. The harness has to
show these duplicates; if it finds none, it is blind.
"""

import asyncio
import random
import signal
import sys
import time
from collections.abc import Iterable

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from service.core.errors import RejectedError, TransientError
from service.core.records import OutgoingRecord, SourceRecord
from service.settings.delivery import TopicSettings
from service.settings.settings import Settings
from testing.chaos.workload import MAX_HANDLER_S, Judge

POLL_MS = 200
BATCH_RECORDS = 500
# Between two commits: loops that commit after each batch wait for the broker each time.
COMMIT_INTERVAL_S = 1.0


class PlainLoop:
    """Takes a batch, handles it concurrently, publishes, commits, and starts again."""

    def __init__(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, topics: TopicSettings) -> None:
        self._consumer = consumer
        self._producer = producer
        self._topics = topics
        self._judge = Judge(topics)
        self._random = random.Random()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End after the batch in hand."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until stopped."""
        committed_at = time.monotonic()
        while not self._stopping.is_set():
            batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS)
            records = [record for batch in batches.values() for record in batch]
            await asyncio.gather(*(self._handle(record) for record in records))
            if time.monotonic() - committed_at > COMMIT_INTERVAL_S:
                await self._consumer.commit()
                committed_at = time.monotonic()
        await self._consumer.commit()

    async def _handle(self, record: ConsumerRecord) -> None:
        source = SourceRecord(
            record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, record.headers
        )
        await self._publish(await self._judged(source))

    async def _judged(self, source: SourceRecord) -> Iterable[OutgoingRecord]:
        while True:
            await asyncio.sleep(self._random.uniform(0, MAX_HANDLER_S))
            try:
                return self._judge.outcomes(source)
            except TransientError:
                continue
            except RejectedError:
                return (OutgoingRecord(self._topics.dead_letters, source.key, source.value, ()),)

    async def _publish(self, outcomes: Iterable[OutgoingRecord]) -> None:
        for outcome in outcomes:
            await self._producer.send_and_wait(outcome.topic, outcome.value, outcome.key)


async def work(settings: Settings) -> None:
    """Process until SIGTERM."""
    kafka = settings.kafka
    consumer = AIOKafkaConsumer(
        settings.topics.uploads,
        bootstrap_servers=kafka.bootstrap_servers,
        group_id=kafka.group_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=int(kafka.session_timeout_s * 1000),
        heartbeat_interval_ms=int(kafka.heartbeat_interval_s * 1000),
    )
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, enable_idempotence=True)
    async with producer, consumer:
        loop = PlainLoop(consumer, producer, settings.topics)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, loop.stop)
        await loop.run()


if __name__ == "__main__":
    uvloop.run(work(Settings.model_validate_json(sys.argv[1])))
