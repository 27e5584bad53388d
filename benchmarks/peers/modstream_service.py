"""`python -m benchmarks.peers.modstream_service TASK BATCH_S [TELEMETRY [DNS]]`: the service, its engine of that pace.

TELEMETRY is `OTLP_ENDPOINT,PORT,RATIO`: traces of that share and metrics by OTLP to the endpoint, metrics to be scraped
at the port. DNS is the name server that it asks.
"""

import asyncio
import sys
from contextlib import AsyncExitStack

import uvloop

from benchmarks.peers.measured import Meter, Task, parse_task
from benchmarks.peers.modstream_stream import report
from service.app.shadows import running_shadows
from service.core.records import OutgoingRecord
from service.delivery.handler import Job
from service.delivery.processor import Processor
from service.delivery.window import images_bytes
from service.inference.engine import Engine
from service.inference.factory import build_engine
from service.media.decode_pool import ImageDecoder
from service.media.decode_queue import DecodeQueue
from service.media.fetch.fetcher import ImageFetcher
from service.media.image_memory import ImageMemory
from service.moderation.engine_client import EngineClient
from service.moderation.moderate import Moderator
from service.moderation.outcomes import VerdictMetrics
from service.moderation.reading import read_upload
from service.monitoring.monitor import monitoring
from service.policy.loader import load_policies
from service.runtime.memory import tune_gc
from service.runtime.nvml import Gpus
from service.settings.delivery import TopicSettings
from service.settings.engine import EngineSettings, RehearsalSettings
from service.settings.kafka import KafkaSettings
from service.settings.media import FetchSettings, MediaSettings
from service.settings.monitoring import MonitoringSettings, TelemetrySettings
from service.settings.settings import Settings
from service.telemetry.logs import configure_logging
from service.telemetry.record_trace import RecordTracer
from service.telemetry.tracing import build_sink


class Metered:
    """The service's handler, with a clock that starts at the first job."""

    def __init__(self, meter: Meter, moderator: Moderator) -> None:
        self._meter = meter
        self._moderator = moderator

    async def __call__(self, job: Job) -> tuple[OutgoingRecord, ...]:
        """Moderate."""
        self._meter.begin()
        return await self._moderator(job)


async def work(
    task: Task, batch_s: float, telemetry: TelemetrySettings, port: int, dns_servers: tuple[str, ...]
) -> None:
    """Run until all events are committed, then drain; built as `service.app.run` builds it."""
    settings = Settings(
        # Each run is a new group, while the dead letters of the runs before it lie in a topic of all.
        kafka=KafkaSettings(bootstrap_servers=task.address, group_id=task.group_id, on_lost_offsets="earliest"),
        topics=TopicSettings(uploads=task.source, verdicts=task.target),
        engine=EngineSettings(kind="rehearsal", rehearsal=RehearsalSettings(batch_s=batch_s)),
        media=MediaSettings(fetch=FetchSettings(allow_networks=("127.0.0.0/8",), dns_servers=dns_servers)),
        telemetry=telemetry,
        monitoring=MonitoringSettings(port=port),
    )
    configure_logging(settings.telemetry)
    engine = build_engine(settings.engine)
    try:
        await engine.start()
        await moderate(task, settings, engine, Meter(task))
    finally:
        await engine.stop()


async def moderate(task: Task, settings: Settings, engine: Engine, meter: Meter) -> None:
    """Let the service around an engine that has started work until all events are committed."""
    async with AsyncExitStack() as stack:
        sources = await stack.enter_async_context(monitoring(settings, Gpus(), version="benchmark"))
        sink, stop_tracing = build_sink(settings.telemetry, version="benchmark")
        stack.callback(stop_tracing)
        policies = load_policies(settings.policy)
        await engine.prepare(policies.default.instructions)
        decoder = ImageDecoder(settings.media.decode)
        stack.push_async_callback(decoder.close)
        await decoder.start()
        moderator = Moderator(
            fetcher=await stack.enter_async_context(ImageFetcher(settings.media.fetch)),
            decoder=DecodeQueue(decoder),
            engine_client=EngineClient(engine, timeout_s=settings.engine.timeout_s),
            policies=policies,
            topics=settings.topics,
            memory=ImageMemory(images_bytes(settings.window)),
            counts=VerdictMetrics(settings.monitoring.tenants),
            shadows=await stack.enter_async_context(running_shadows(settings, sources, policies, engine)),
        )
        tracer = RecordTracer(sink, group_id=task.group_id)
        processor = Processor(settings, Metered(meter, moderator), read=read_upload, tracer=tracer)
        sources.engine, sources.decoder, sources.processor = engine, decoder, processor.status
        tune_gc()
        async with asyncio.TaskGroup() as group:
            group.create_task(report(processor, meter), name="report")
            await processor.run()


def main() -> None:
    """Take what is to be done from the command line."""
    telemetry, port = TelemetrySettings(log_level="warning"), 0
    if sys.argv[3:] and sys.argv[3]:
        endpoint, given_port, ratio = sys.argv[3].split(",")
        telemetry, port = (
            TelemetrySettings(log_level="warning", otlp_endpoint=endpoint, trace_ratio=ratio),
            int(given_port),
        )
    uvloop.run(work(parse_task(), float(sys.argv[2]), telemetry, port, tuple(sys.argv[4:])))


if __name__ == "__main__":
    main()
