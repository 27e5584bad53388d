"""`python -m benchmarks.peers.faststream_app TASK`: FastStream with 100 workers, in an environment of its own.

More than one worker a partition exists in FastStream only where offsets are committed before the work is done: a
crash loses records.
"""

import uvloop
from faststream.kafka import KafkaBroker

from benchmarks.peers.measured import CONCURRENCY, Meter, Task, parse_task


async def work(task: Task) -> None:
    """Run until all records are published."""
    broker = KafkaBroker(task.address, acks="all", compression_type="gzip", logger=None)
    meter = Meter(task)
    publisher = broker.publisher(task.target)

    async def handle(value: bytes) -> None:
        await meter.handle()
        await publisher.publish(value)
        meter.done(1)

    subscribe = broker.subscriber(
        task.source, group_id=task.group_id, auto_offset_reset="earliest", max_workers=CONCURRENCY, no_reply=True
    )
    subscribe(handle)
    async with broker:
        await broker.start()
        await meter.finished.wait()


if __name__ == "__main__":
    uvloop.run(work(parse_task()))
