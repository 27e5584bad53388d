"""The only place that builds objects: start → consume → drain → stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

import structlog

from service.app.data_plane import DataPlane, build_data_plane
from service.app.shadows import running_shadows
from service.app.signals import ReloadRequests, draining_on_signals, reloading_on_hangup
from service.core.availability import EngineAvailability
from service.delivery.engine_mark_store import EngineMarkStore
from service.delivery.engine_suspects import EngineSuspects
from service.delivery.handler import Read
from service.delivery.processor import Processor
from service.events.raw_event import tenant_of
from service.media.fetch.web_address import canonical_hosts
from service.moderation.moderate import Moderator
from service.moderation.reading import read_upload
from service.monitoring.monitor import monitoring
from service.monitoring.sources import Sources
from service.runtime.file_watch import watching
from service.runtime.forced_exit import FailureRelay
from service.runtime.memory import give_large_blocks_back, tune_gc
from service.runtime.nvml import Gpus
from service.runtime.resource_limits import LimitGuard, memory_limits, temperature_limits
from service.settings.kafka import LARGEST_MAX_EVENT_BYTES
from service.settings.settings import Settings
from service.telemetry.record_trace import RecordTracer
from service.telemetry.recording_span import SpanSink
from service.telemetry.tracing import build_sink

if TYPE_CHECKING:
    from service.api.callers.api_keys import KeyEntry

log = structlog.get_logger(__name__)

_CLEANING_UP_S = 20.0
"""For leaving the group and ending processes, beyond the times that have settings."""


async def run_service(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal exits at once, uncommitted and without loss.

    SIGHUP has the policies read again.

    Raises `FatalError` when the service cannot start or go on.
    """
    give_large_blocks_back()
    _log_start(settings)
    async with AsyncExitStack() as stack:
        requests = stack.enter_context(reloading_on_hangup())
        gpus = Gpus()
        guard = _guard(settings, gpus)
        # First, and therefore last to end: a model that loads is alive, and a drain can be watched.
        sources = await stack.enter_async_context(monitoring(settings, gpus, version=version("modstream")))
        failure_relay = FailureRelay(grace_s=settings.shutdown.drain_s + settings.commit.timeout_s + _CLEANING_UP_S)
        # Before the group is joined: a model may load for a minute, and members that do not poll are thrown out.
        availability = EngineAvailability()
        suspects = _suspects(settings, stack)
        plane = await build_data_plane(
            settings,
            stack,
            sources,
            on_failure=failure_relay.report,
            availability=availability,
            suspects=suspects,
            open_shadows=partial(running_shadows, settings, sources, requested=requests.event()),
        )
        sink = _sink(settings, stack)
        processor = Processor(
            settings,
            plane.moderator,
            read=_reader(settings),
            tenant_of=tenant_of,
            availability=availability,
            suspects=suspects,
            tracer=RecordTracer(sink, group_id=settings.kafka.group_id),
        )
        sources.processor = processor.status
        failure_relay.connect(processor.on_failed)
        drains = [processor.drain]
        if settings.api.port:
            from service.app.http import open_api  # noqa: PLC0415 - a third of all imports, and a stream alone needs none

            api = await stack.enter_async_context(open_api(settings, plane, sources, gpus, sink))
            drains.append(api.drain)
        await stack.enter_async_context(_following_policies(plane, requests))
        tune_gc()
        with draining_on_signals(drains):
            await _run_within(guard, processor)


async def run_api(settings: Settings, *, key_of_this_run: "KeyEntry | None" = None) -> None:
    """Answer HTTP requests without Kafka until SIGTERM or SIGINT, then drain; a second signal exits at once.

    SIGHUP has the policies read again.

    `key_of_this_run` is accepted where the settings name no file of keys.

    Raises `FatalError` when the service cannot start or go on.
    """
    from service.app.http import open_api  # noqa: PLC0415 - as above

    give_large_blocks_back()
    log.info("service.starting", version=version("modstream"), engine=settings.engine.kind, topics=None)
    async with AsyncExitStack() as stack:
        requests = stack.enter_context(reloading_on_hangup())
        gpus = Gpus()
        guard = _guard(settings, gpus)
        sources = await stack.enter_async_context(monitoring(settings, gpus, version=version("modstream")))
        sources.has_stream = False
        relay = FailureRelay(grace_s=settings.shutdown.drain_s + _CLEANING_UP_S)
        availability = EngineAvailability()
        plane = await build_data_plane(
            settings,
            stack,
            sources,
            on_failure=relay.report,
            availability=availability,
            open_shadows=partial(running_shadows, settings, sources, requested=requests.event()),
        )
        sink = _sink(settings, stack)
        api = await stack.enter_async_context(
            open_api(settings, plane, sources, gpus, sink, key_of_this_run=key_of_this_run)
        )
        relay.connect(api.on_failed)
        await stack.enter_async_context(_following_policies(plane, requests))
        tune_gc()
        with draining_on_signals([api.drain]):
            await _run_within(guard, api)


def _following_policies(plane: DataPlane, requests: ReloadRequests) -> AbstractAsyncContextManager[None]:
    return watching(partial(plane.reload.watch, requests.event()), name="policy-watch")


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


def _suspects(settings: Settings, stack: AsyncExitStack) -> EngineSuspects | None:
    """Return what remembers records that the engine dies of; servers die alone, and are looked after elsewhere."""
    if settings.engine.kind == "openai":
        return None
    store = EngineMarkStore(settings.kafka)
    stack.push_async_callback(store.close)
    return EngineSuspects(store)


def _sink(settings: Settings, stack: AsyncExitStack) -> SpanSink | None:
    sink, stop = build_sink(settings.telemetry, version=version("modstream"))
    stack.callback(stop)
    return sink


class _Runs(Protocol):
    """What works until it has drained."""

    async def run(self) -> None:
        """Work until `drain` was called and all is done; raises `FatalError`."""
        ...

    def drain(self) -> None:
        """Let `run` return once all is done."""
        ...


async def _run_within(guard: LimitGuard, running: _Runs) -> None:
    watch = asyncio.create_task(guard.watch(running.drain), name="limit-guard")
    try:
        await running.run()
    finally:
        watch.cancel()
        await asyncio.wait([watch])
    guard.check()


@asynccontextmanager
async def moderation_alone(settings: Settings) -> AsyncIterator[Moderator]:
    """Give what judges events, without Kafka: to try settings, policies and a machine.

    Raises `FatalError` when it cannot start.
    """
    async with data_plane_alone(settings) as plane:
        yield plane.moderator


@asynccontextmanager
async def data_plane_alone(settings: Settings) -> AsyncIterator[DataPlane]:
    """Give everything that judges images, without Kafka.

    Raises `FatalError` when it cannot start.
    """
    # Files travel inside their events here, and no broker bounds those.
    kafka = settings.kafka.model_copy(update={"max_event_bytes": LARGEST_MAX_EVENT_BYTES})
    async with AsyncExitStack() as stack:
        yield await build_data_plane(settings.model_copy(update={"kafka": kafka}), stack, Sources())
