"""Builds what judges images, for the stream and for the HTTP API: policies, engine, fetcher, decoders, memory."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass

from service.app.policy_reload import PolicyReload
from service.core.availability import EngineAvailability
from service.core.errors import FatalError
from service.delivery.engine_suspects import EngineSuspects
from service.delivery.window import images_bytes
from service.inference.engine import Engine
from service.inference.factory import build_passes
from service.inference.first_pass.engine import FirstPassEngine
from service.media.decode_pool import ImageDecoder
from service.media.decode_queue import DecodeQueue
from service.media.fetch.fetcher import ImageFetcher
from service.media.image_memory import ImageMemory
from service.media.sandbox import hide_process
from service.moderation.engine_client import EngineClient
from service.moderation.moderate import Moderator
from service.moderation.outcomes import VerdictMetrics
from service.moderation.shadow import Shadows
from service.monitoring.sources import Sources
from service.policy.loader import Policies
from service.settings.settings import Settings
from service.telemetry.tracing import traces_url

OpenShadows = Callable[[Policies, Engine], AbstractAsyncContextManager[Shadows]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPlane:
    """What judges images. All of it is started."""

    moderator: Moderator
    policies: Policies
    reload: PolicyReload
    """Not running: who judges all images by the same policies leaves it alone."""
    engine: FirstPassEngine
    fetcher: ImageFetcher
    decoder: DecodeQueue
    memory: ImageMemory


async def build_data_plane(
    settings: Settings,
    stack: AsyncExitStack,
    sources: Sources,
    *,
    on_failure: Callable[[FatalError], None] = lambda _: None,
    availability: EngineAvailability | None = None,
    suspects: EngineSuspects | None = None,
    open_shadows: OpenShadows | None = None,
) -> DataPlane:
    """Start what judges events; `on_failure` is called when the engine dies or hangs.

    With `availability` judgements wait without limit while nothing can answer. `open_shadows` is called once the engine
    has started.
    """
    engine = build_passes(
        settings.engine,
        on_failure=on_failure,
        availability=availability,
        traces_url=traces_url(settings.telemetry),
        chat_images=settings.api.max_images if settings.api.port else 0,
    )
    # Before the engine starts, which may take minutes.
    reload = PolicyReload(settings.policy, engine)
    policies = reload.policies
    stack.push_async_callback(engine.stop)
    await engine.start()
    await reload.prepare()
    fetcher = await stack.enter_async_context(ImageFetcher(settings.media.fetch))
    decoder = DecodeQueue(await _opened(ImageDecoder(settings.media.decode), stack), api_share=settings.api.share)
    memory = ImageMemory(images_bytes(settings.window))
    sources.engine, sources.decoder, sources.memory, sources.policies = engine, decoder, memory, reload
    sources.first_pass_warnings = engine.warnings
    sources.description = engine.describe(policies.default.instructions)
    client = EngineClient(engine, timeout_s=settings.engine.timeout_s, availability=availability)
    if suspects is not None:
        suspects.proof.probe_with(lambda: client.probe(policies.default.instructions))
    shadows = await stack.enter_async_context(open_shadows(policies, engine)) if open_shadows is not None else None
    moderator = Moderator(
        fetcher=fetcher,
        decoder=decoder,
        engine_client=client,
        policies=policies,
        topics=settings.topics,
        memory=memory,
        max_event_bytes=settings.kafka.max_event_bytes,
        suspects=suspects,
        counts=VerdictMetrics(settings.monitoring.tenants),
        api_share=settings.api.share,
        shadows=shadows,
    )
    return DataPlane(
        moderator=moderator,
        policies=policies,
        reload=reload,
        engine=engine,
        fetcher=fetcher,
        decoder=decoder,
        memory=memory,
    )


async def _opened(decoder: ImageDecoder, stack: AsyncExitStack) -> ImageDecoder:
    # Once the engine runs, whose processes read each other's memory.
    hide_process()
    stack.push_async_callback(decoder.close)
    await decoder.start()
    return decoder
