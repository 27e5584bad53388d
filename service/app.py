"""The only place that builds objects: start → consume → drain → stop."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from importlib.metadata import version

import structlog

from service.core.availability import EngineAvailability
from service.core.errors import FatalError
from service.delivery.engine_mark_store import EngineMarkStore
from service.delivery.engine_suspects import EngineSuspects
from service.delivery.handler import Read
from service.delivery.processor import Processor
from service.delivery.window import images_bytes
from service.events.raw_event import tenant_of
from service.inference.engine import Engine
from service.inference.factory import build_engine
from service.media.decode_pool import ImageDecoder
from service.media.decode_queue import DecodeQueue
from service.media.fetch.fetcher import ImageFetcher
from service.media.fetch.web_address import canonical_hosts
from service.media.image_memory import ImageMemory
from service.media.sandbox import hide_process
from service.moderation.engine_client import EngineClient
from service.moderation.moderate import Moderator
from service.moderation.outcomes import VerdictMetrics
from service.moderation.reading import read_upload
from service.monitoring.monitor import monitoring
from service.monitoring.sources import Sources
from service.policy.loader import Policies, load_policies
from service.policy.taxonomy import check_categories
from service.runtime.forced_exit import FailureRelay
from service.runtime.memory import give_large_blocks_back, tune_gc
from service.runtime.nvml import Gpus
from service.runtime.resource_limits import LimitGuard, memory_limits, temperature_limits
from service.settings.kafka import LARGEST_MAX_EVENT_BYTES
from service.settings.settings import Settings
from service.telemetry.record_trace import RecordTracer
from service.telemetry.tracing import build_sink, traces_url

log = structlog.get_logger(__name__)

# What a shell reports for a process that a second signal ended.
EXIT_FORCED = 130

_CLEANING_UP_S = 20.0
"""For leaving the group and ending processes, beyond the times that have settings."""


async def run_service(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal exits at once, uncommitted and without loss.

    Raises `FatalError` when the service cannot start or go on.
    """
    give_large_blocks_back()
    _log_start(settings)
    async with AsyncExitStack() as stack:
        gpus = Gpus()
        guard = _guard(settings, gpus)
        # First, and therefore last to end: a model that loads is alive, and a drain can be watched.
        sources = await stack.enter_async_context(monitoring(settings, gpus, version=version("modstream")))
        failure_relay = FailureRelay(grace_s=settings.shutdown.drain_s + settings.commit.timeout_s + _CLEANING_UP_S)
        # Before the group is joined: a model may load for a minute, and members that do not poll are thrown out.
        availability = EngineAvailability()
        suspects = _suspects(settings, stack)
        handler = await _moderator(
            settings, stack, sources, on_failure=failure_relay.report, availability=availability, suspects=suspects
        )
        processor = Processor(
            settings,
            handler,
            read=_reader(settings),
            tenant_of=tenant_of,
            availability=availability,
            suspects=suspects,
            tracer=_tracer(settings, stack),
        )
        sources.processor = processor.status
        failure_relay.connect(processor.on_failed)
        tune_gc()
        with _draining_on_signals(processor):
            await _run_within(guard, processor)


def _log_start(settings: Settings) -> None:
    """Say what this process is about to do, and which settings it ignores."""
    log.info(
        "service.starting",
        version=version("modstream"),
        topics=settings.topics.model_dump(),
        group=settings.kafka.group_id,
        delivery=settings.delivery,
        engine=settings.engine.kind,
        policy=settings.policy.default,
    )
    if unused := settings.kafka.unused():
        protocol = settings.kafka.security_protocol
        log.warning("kafka.settings_unused", settings=unused, security_protocol=protocol)


def _reader(settings: Settings) -> Read:
    own_hosts = canonical_hosts(settings.media.fetch.allow_hosts)
    return partial(read_upload, max_bytes=settings.kafka.max_event_bytes, own_hosts=own_hosts)


def _guard(settings: Settings, gpus: Gpus) -> LimitGuard:
    memory = memory_limits(settings.engine.max_memory_bytes, setting="engine.max_memory_bytes")
    limit_c = settings.engine.max_gpu_temperature_c
    return LimitGuard([*memory, *temperature_limits(limit_c, gpus, setting="engine.max_gpu_temperature_c")])


async def _moderator(
    settings: Settings,
    stack: AsyncExitStack,
    sources: Sources,
    *,
    on_failure: Callable[[FatalError], None] = lambda _: None,
    availability: EngineAvailability | None = None,
    suspects: EngineSuspects | None = None,
) -> Moderator:
    """Start what judges events; `on_failure` is called when the engine dies or hangs.

    With `availability` judgements wait without limit while nothing can answer.
    """
    policies = load_policies(settings.policy)
    engine = build_engine(
        settings.engine,
        on_failure=on_failure,
        availability=availability,
        traces_url=traces_url(settings.telemetry),
    )
    engine = await _started(engine, policies, stack)
    fetcher = await stack.enter_async_context(ImageFetcher(settings.media.fetch))
    decoder = DecodeQueue(await _opened(ImageDecoder(settings.media.decode), stack))
    memory = ImageMemory(images_bytes(settings.window))
    sources.engine, sources.decoder, sources.memory = engine, decoder, memory
    sources.description = engine.describe(policies.default.instructions)
    client = EngineClient(engine, timeout_s=settings.engine.timeout_s, availability=availability)
    if suspects is not None:
        suspects.proof.probe_with(partial(client.probe, policies.default.instructions))
    return Moderator(
        fetcher=fetcher,
        decoder=decoder,
        engine_client=client,
        policies=policies,
        topics=settings.topics,
        memory=memory,
        max_event_bytes=settings.kafka.max_event_bytes,
        suspects=suspects,
        counts=VerdictMetrics(settings.monitoring.tenants),
    )


def _suspects(settings: Settings, stack: AsyncExitStack) -> EngineSuspects | None:
    """Return what remembers records that the engine dies of; servers die alone, and are looked after elsewhere."""
    if settings.engine.kind == "openai":
        return None
    store = EngineMarkStore(settings.kafka)
    stack.push_async_callback(store.close)
    return EngineSuspects(store)


def _tracer(settings: Settings, stack: AsyncExitStack) -> RecordTracer:
    sink, stop = build_sink(settings.telemetry, version=version("modstream"))
    stack.callback(stop)
    return RecordTracer(sink, group_id=settings.kafka.group_id)


async def _started(engine: Engine, policies: Policies, stack: AsyncExitStack) -> Engine:
    """Start the engine and make sure that it can answer every policy."""
    stack.push_async_callback(engine.stop)
    await engine.start()
    for policy in policies.by_name.values():
        await engine.prepare(policy.instructions)
        description = engine.describe(policy.instructions)
        source = f"The engine {description.kind} ({description.model_name})"
        check_categories(description.covers, own=policy.categories, source=source)
        log.info(
            "engine.ready",
            engine=description.kind,
            model=description.model_name,
            adapter=description.adapter,
            policy=policy.name,
            covers=sorted(description.covers),
        )
    return engine


async def _run_within(guard: LimitGuard, processor: Processor) -> None:
    watch = asyncio.create_task(guard.watch(processor.drain), name="limit-guard")
    try:
        await processor.run()
    finally:
        watch.cancel()
        await asyncio.wait([watch])
    guard.check()


async def _opened(decoder: ImageDecoder, stack: AsyncExitStack) -> ImageDecoder:
    # Once the engine runs, whose processes read each other's memory.
    hide_process()
    stack.push_async_callback(decoder.close)
    await decoder.start()
    return decoder


@contextmanager
def _draining_on_signals(processor: Processor) -> Iterator[None]:
    """Drain on the first signal, exit on the second."""
    loop = asyncio.get_running_loop()
    asked = False

    def on_signal(number: signal.Signals) -> None:
        nonlocal asked
        if asked:
            log.warning("service.forced", signal=number.name)
            os._exit(EXIT_FORCED)  # no clean-up that could hang once more; what is uncommitted is read again
        asked = True
        log.info("service.draining", signal=number.name)
        processor.drain()

    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


@asynccontextmanager
async def moderation_alone(settings: Settings) -> AsyncIterator[Moderator]:
    """Give what judges events, without Kafka: to try settings, policies and a machine.

    Raises `FatalError` when it cannot start.
    """
    # Files travel inside their events here, and no broker bounds those.
    kafka = settings.kafka.model_copy(update={"max_event_bytes": LARGEST_MAX_EVENT_BYTES})
    async with AsyncExitStack() as stack:
        yield await _moderator(settings.model_copy(update={"kafka": kafka}), stack, Sources())
