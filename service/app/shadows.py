"""Builds shadows and audits, and runs them beside the service: whatever is wrong with one, the service goes on."""

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
from service.moderation.audits import AuditOptions, Audits, count_lost_audits
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


class BackgroundRecords:
    """Publishes the records of shadows or audits; what fails is counted, and logged when it begins and ends."""

    def __init__(
        self,
        publisher: SteadyPublisher,
        *,
        setting: str,
        count_lost: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`setting` names the topic, and `count_lost` takes how many records were lost."""
        self._publisher = publisher
        self._setting = setting
        self._count_lost = count_lost
        self._clock = clock
        self._again_at_s = -math.inf
        self._warning: str | None = None

    def warnings(self) -> list[str]:
        """Return why records cannot be published, while they cannot."""
        return [self._warning] if self._warning is not None else []

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """Publish records, or count them as lost."""
        if self._clock() < self._again_at_s:
            self._count_lost(len(records))
            return
        try:
            with strays_as_errors():
                await self._publisher.publish_all(records)
        except Exception as error:  # noqa: BLE001 - what is lost here concerns no verdict
            self._count_lost(len(records))
            if self._warning is None:
                log.warning("shadow.not_published", setting=self._setting, error=error)
            self._again_at_s = self._clock() + _PUBLISH_PAUSE_S
            self._warning = f"{self._setting} takes no records: see shadow.not_published in the log"
        else:
            if self._warning is not None:
                log.info("shadow.published_again", setting=self._setting)
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
    """Yield what looks at images after their verdicts, shadows and audits, and run it during the block.

    Setting `requested` has the policies on trial read again at once.
    """
    async with AsyncExitStack() as stack:
        publisher = audit_publisher = None
        if settings.shadow.is_on and sources.has_stream:
            publisher = await _records(settings, stack, setting="topics.shadow", count_lost=_count_lost_decisions)
        if settings.policy.audits and sources.has_stream:
            audit_publisher = await _records(settings, stack, setting="topics.audit", count_lost=count_lost_audits)
        running: list[ShadowPolicies | ShadowEngine | Audits] = [
            *_engine(settings, policies, engine, publisher),
            *_audits(settings, policies, engine, audit_publisher),
        ]
        for shadow, watch in _policies(settings, policies, publisher, requested):
            running.append(shadow)
            await stack.enter_async_context(watching(watch.watch, name="shadow-policy-watch"))
        for each in running:
            await stack.enter_async_context(_beside(each))
        shadows = Shadows(running)
        records = [each for each in (publisher, audit_publisher) if each is not None]
        sources.shadow_warnings = lambda: shadows.warnings() + [text for each in records for text in each.warnings()]
        yield shadows


async def _records(
    settings: Settings, stack: AsyncExitStack, *, setting: str, count_lost: Callable[[int], None]
) -> BackgroundRecords:
    """Return a publisher of its own for one topic: one that cannot be written to holds up no other."""
    publisher = await stack.enter_async_context(_open_publisher(settings))
    return BackgroundRecords(publisher, setting=setting, count_lost=count_lost)


def _count_lost_decisions(records: int) -> None:
    count_left_out("records", "not_published", records)


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
    settings: Settings, live: Policies, publisher: BackgroundRecords | None, requested: asyncio.Event | None
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
    settings: Settings, policies: Policies, engine: Engine, publisher: BackgroundRecords | None
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


def _audits(
    settings: Settings, policies: Policies, engine: Engine, publisher: BackgroundRecords | None
) -> list[Audits]:
    if not settings.policy.audits:
        return []
    policy, concurrency = settings.policy, engine.describe(policies.default.instructions).concurrency
    options = AuditOptions(
        share=policy.audit_share,
        max_bytes=policy.audit_max_bytes,
        timeout_s=policy.audit_timeout_s,
        key=AuditOptions.new_key(),
    )
    has_room = partial(_has_room, engine, concurrency)
    return [Audits(engine, options, publisher=publisher, topic=settings.topics.audit, has_room=has_room)]


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
async def _beside(shadow: ShadowPolicies | ShadowEngine | Audits) -> AsyncIterator[None]:
    """Run a shadow beside the block; it has two seconds to end."""
    task = asyncio.create_task(shadow.run(), name=type(shadow).__name__)
    try:
        yield
    finally:
        shadow.drain()
        await asyncio.wait([task], timeout=_CLOSE_S)
        task.cancel()
        await asyncio.wait([task], timeout=_CLOSE_S)
