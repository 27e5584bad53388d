"""Builds shadows and runs them beside the service; whatever is wrong with one, the service starts and goes on."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

import structlog

from service.app.trial_policies import SETTING, LiveNames, TrialReload
from service.core.records import OutgoingRecord
from service.inference.engine import Engine
from service.inference.errors import EngineConfigurationError
from service.inference.factory import build_engine
from service.kafka.connection import KafkaConnection
from service.kafka.steady_publisher import SteadyPublisher
from service.moderation.loop_share import LoopShare
from service.moderation.shadow import Shadows, count_left_out, strays_as_errors
from service.moderation.shadow_engine import ShadowEngine
from service.moderation.shadow_policies import ShadowPolicies, TrialPolicies
from service.monitoring.sources import Sources
from service.policy.loader import Policies
from service.policy.policy_files import PolicyFiles
from service.runtime.file_watch import FileWatch, watching
from service.settings.engine import EngineSettings
from service.settings.settings import Settings

log = structlog.get_logger(__name__)

_CLOSE_S = 2.0
"""Time for what waits at the end of the process."""

_PUBLISH_TIMEOUT_S = 10.0
"""After which records of shadows are given up."""

_PUBLISH_PAUSE_S = 10.0
"""After records could not be published. Decisions go on in it, and are counted: each attempt may hold them up."""


class ShadowRecords:
    """Publishes the records of shadows; what fails is counted, and logged when it begins and ends."""

    def __init__(self, publisher: SteadyPublisher, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._publisher = publisher
        self._clock = clock
        self._again_at_s = -math.inf
        self._warning: str | None = None

    def warnings(self) -> list[str]:
        """Return why records cannot be published, while they cannot."""
        return [self._warning] if self._warning is not None else []

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """Publish records, or count them as lost."""
        if self._clock() < self._again_at_s:
            count_left_out("records", "not_published", len(records))
            return
        try:
            with strays_as_errors():
                await self._publisher.publish_all(records)
        except Exception as error:  # noqa: BLE001 - what is lost here concerns no verdict
            count_left_out("records", "not_published", len(records))
            if self._warning is None:
                log.warning("shadow.not_published", error=error)
            self._again_at_s = self._clock() + _PUBLISH_PAUSE_S
            self._warning = "topics.shadow takes no records: see shadow.not_published in the log"
        else:
            if self._warning is not None:
                log.info("shadow.published_again")
            self._warning = None


@asynccontextmanager
async def running_shadows(
    settings: Settings,
    sources: Sources,
    policies: Policies,
    engine: Engine,
    *,
    requested: asyncio.Event | None = None,
) -> AsyncIterator[Shadows]:
    """Yield what is on trial beside these policies and this engine, and run it during the block.

    Setting `requested` has the policies on trial read again at once.
    """
    async with AsyncExitStack() as stack:
        publisher = None
        if settings.shadow.is_on and sources.has_stream:
            publisher = ShadowRecords(await stack.enter_async_context(_open_publisher(settings)))
        running: list[ShadowPolicies | ShadowEngine] = [*_engine(settings, policies, engine, publisher)]
        for shadow, watch in _policies(settings, policies, publisher, requested):
            running.append(shadow)
            await stack.enter_async_context(watching(watch.watch, name="shadow-policy-watch"))
        for each in running:
            await stack.enter_async_context(_beside(each))
        shadows = Shadows(running)
        sources.shadow_warnings = lambda: shadows.warnings() + (publisher.warnings() if publisher else [])
        yield shadows


@asynccontextmanager
async def _open_publisher(settings: Settings) -> AsyncIterator[SteadyPublisher]:
    is_idempotent = settings.delivery == "exactly_once"
    connection = KafkaConnection(settings.kafka)
    publisher = SteadyPublisher(connection, is_idempotent=is_idempotent, timeout_s=_PUBLISH_TIMEOUT_S)
    try:
        yield publisher
    finally:
        await publisher.close()


def _policies(
    settings: Settings, live: Policies, publisher: ShadowRecords | None, requested: asyncio.Event | None
) -> list[tuple[ShadowPolicies, FileWatch[PolicyFiles]]]:
    """Return the policies on trial and the watch of their files, if the settings name any."""
    if settings.shadow.policies is None:
        return []
    shadow = ShadowPolicies(
        TrialPolicies([], live=LiveNames(live)),
        publisher=publisher,
        topic=settings.topics.shadow,
        max_waiting=settings.shadow.max_waiting,
        share=LoopShare(settings.shadow.loop_share),
    )
    files = PolicyFiles(settings.shadow.policies, setting=SETTING)
    reload = TrialReload(shadow, live)
    reload.begin(files)
    return [(shadow, FileWatch(files, reload.use, every_s=settings.policy.reload_interval_s, requested=requested))]


def _engine(
    settings: Settings, policies: Policies, engine: Engine, publisher: ShadowRecords | None
) -> list[ShadowEngine]:
    shadow, instructions = settings.shadow.engine, policies.default.instructions
    open_engine: Callable[[], AbstractAsyncContextManager[Engine]]
    has_room: Callable[[], bool]
    match shadow.kind:
        case "none":
            return []
        case "adapter":
            concurrency = engine.describe(instructions).concurrency
            open_engine, has_room = partial(_as_it_runs, engine), partial(_has_room, engine, concurrency)
        case "openai":
            remote = settings.engine.model_copy(update={"kind": "openai", "openai": shadow.openai})
            open_engine, has_room = partial(_started, remote), _always
    return [ShadowEngine(open_engine, shadow, publisher=publisher, topic=settings.topics.shadow, has_room=has_room)]


@asynccontextmanager
async def _as_it_runs(engine: Engine) -> AsyncIterator[Engine]:
    yield engine


@asynccontextmanager
async def _started(settings: EngineSettings) -> AsyncIterator[Engine]:
    engine = build_engine(settings)
    try:
        try:
            await engine.start()
        except EngineConfigurationError as error:
            # It knows its settings by the names of the live engine's, where nothing is wrong.
            raise EngineConfigurationError(
                **{name: _of_shadow(str(fact)) for name, fact in error.facts.items()}
            ) from error
        yield engine
    finally:
        await engine.stop()


def _of_shadow(text: str) -> str:
    """Return a text with the settings of the engine on trial where it names those of the live one."""
    return text.replace("engine.openai.", "shadow.engine.openai.")


def _has_room(engine: Engine, concurrency: int) -> bool:
    """Return whether the live engine has places that no live image wants."""
    load = engine.load()
    return load.is_reachable and not load.waiting and load.running < concurrency


def _always() -> bool:
    return True


@asynccontextmanager
async def _beside(shadow: ShadowPolicies | ShadowEngine) -> AsyncIterator[None]:
    """Run a shadow beside the block; it has two seconds to end."""
    task = asyncio.create_task(shadow.run(), name=type(shadow).__name__)
    try:
        yield
    finally:
        shadow.drain()
        await asyncio.wait([task], timeout=_CLOSE_S)
        task.cancel()
        await asyncio.wait([task], timeout=_CLOSE_S)
