"""`python -m benchmarks.peers.plain_aiokafka TASK SENDS`: a plain loop with bounded concurrency, at least once.

SENDS `each`: what one writes first; a handler ends when its outcome is acknowledged. SENDS `together`: what one writes
when speed counts; the sends of a batch are awaited together. Then the offsets are committed, and a crash before that
publishes up to a batch again.
"""

import asyncio
import sys

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from benchmarks.peers.measured import CONCURRENCY, Meter, Task, parse_task

# Several rounds of the handler for each commit, so that the wait for the slowest record of a batch weighs little.
BATCH_RECORDS = 10 * CONCURRENCY
POLL_MS = 200


class PlainLoop:
    """Consumes, handles, produces, commits."""

    def __init__(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, task: Task, sends: str) -> None:
        self._consumer = consumer
        self._producer = producer
        self._target = task.target
        self._awaits_each = sends == "each"
        self._meter = Meter(task)
        self._slots = asyncio.Semaphore(CONCURRENCY)

    async def run(self) -> None:
        """Work until all records are done."""
        while not self._meter.finished.is_set():
            batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS)
            records = [record for batch in batches.values() for record in batch]
            if records:
                await asyncio.gather(*await asyncio.gather(*(self._handle(record) for record in records)))
                await self._consumer.commit()
                self._meter.done(len(records))

    async def _handle(self, record: ConsumerRecord) -> asyncio.Future[object]:
        async with self._slots:
            await self._meter.handle()
            written: asyncio.Future[object] = await self._producer.send(self._target, record.value, record.key)
            if self._awaits_each:
                await written
            return written


async def work(task: Task, sends: str) -> None:
    """Run the loop with the same compression and the same acknowledgements as the service."""
    consumer = AIOKafkaConsumer(
        task.source,
        bootstrap_servers=task.address,
        group_id=task.group_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=task.address, acks="all", compression_type="gzip")
    async with producer, consumer:
        await PlainLoop(consumer, producer, task, sends).run()


if __name__ == "__main__":
    uvloop.run(work(parse_task(), sys.argv[2]))
