"""`python -m benchmarks.peers.modstream_stream TASK DELIVERY`: the service's stream layer around the shared handler."""

import asyncio
import sys

import uvloop

from benchmarks.peers.measured import CONCURRENCY, Meter, Task, parse_task
from service.core.records import OutgoingRecord
from service.delivery.handler import Job
from service.delivery.processor import Processor
from service.runtime.memory import tune_gc
from service.settings.delivery import TopicSettings, WindowSettings
from service.settings.kafka import KafkaSettings
from service.settings.monitoring import MonitoringSettings, TelemetrySettings
from service.settings.settings import Settings
from service.telemetry.logs import configure_logging

POLL_S = 0.002


class OneOutcome:
    """Turns a record into one outcome with the same key and value."""

    def __init__(self, meter: Meter, target: str) -> None:
        self._meter = meter
        self._target = target

    async def __call__(self, job: Job) -> tuple[OutgoingRecord, ...]:
        """Handle one record."""
        await self._meter.handle()
        return (OutgoingRecord(self._target, job.record.key, job.record.value, ()),)


async def work(task: Task, delivery: str) -> None:
    """Run until all records are committed, then drain."""
    settings = Settings.model_validate(
        {
            "delivery": delivery,
            # Each run is a new group, while the dead letters of the runs before it lie in a topic of all.
            "kafka": KafkaSettings(bootstrap_servers=task.address, group_id=task.group_id, on_lost_offsets="earliest"),
            "topics": TopicSettings(uploads=task.source, verdicts=task.target),
            "window": WindowSettings(max_records=CONCURRENCY),
            "telemetry": TelemetrySettings(log_level="warning"),
            "monitoring": MonitoringSettings(port=0),
        }
    )
    configure_logging(settings.telemetry)
    meter = Meter(task)
    processor = Processor(settings, OneOutcome(meter, task.target))
    tune_gc()  # as service.app.run does
    async with asyncio.TaskGroup() as group:
        group.create_task(report(processor, meter), name="report")
        await processor.run()


async def report(processor: Processor, meter: Meter) -> None:
    """Count what is committed at the meter; a reader of outcomes sees no record sooner."""
    reported = 0
    while not meter.finished.is_set():
        await asyncio.sleep(POLL_S)
        finished = processor.counters().finished
        meter.done(finished - reported)
        reported = finished
    processor.drain()


if __name__ == "__main__":
    uvloop.run(work(parse_task(), sys.argv[2]))
