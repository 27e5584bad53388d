"""Opens the HTTP API over what judges images, beside the stream or alone."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from importlib.metadata import version

from service.api.application import build_application
from service.api.callers.api_keys import ApiKeys, KeyEntry
from service.api.callers.running_access import running_access
from service.api.connections.server import serve_http
from service.api.judging.idempotency import GivenAnswers
from service.api.judging.image_judge import ImageJudge
from service.api.judging.places import Places
from service.api.judging.respond_async import AsyncAnswers
from service.api.judging.stored_outcomes import StoredOutcomes
from service.api.openai.chat_images import ChatImages
from service.api.openai.chats import Chats
from service.api.parts import ApiParts
from service.app.api_stream import beside_stream
from service.app.data_plane import DataPlane
from service.core.errors import FatalError
from service.http.parsing_budget import SHARE
from service.inference.chat import chat_server
from service.moderation.requests import RequestModerator
from service.monitoring.health import summary
from service.monitoring.sources import Sources
from service.policy.loader import Policies
from service.runtime.nvml import Gpus
from service.settings.settings import Settings
from service.telemetry.recording_span import SpanSink
from service.telemetry.request_trace import RequestTracer

_MAX_CHATS = 128
"""In the engine where there is no stream. Their pixels and those of the next ones take 4 GB if all have the most
images."""


class ApiRun:
    """The API while it is open."""

    def __init__(self, places: Places, port: int) -> None:
        self.port = port
        self.places = places
        self._stopped = asyncio.Event()
        self._failure: FatalError | None = None

    async def run(self) -> None:
        """Return after `drain`; raises the `FatalError` that ended it."""
        await self._stopped.wait()
        if self._failure is not None:
            raise self._failure

    def drain(self) -> None:
        """Answer no further requests."""
        self.places.drain()
        self._stopped.set()

    def on_failed(self, error: FatalError) -> None:
        """End with a fatal error."""
        self._failure = self._failure or error
        self.drain()


@asynccontextmanager
async def open_api(
    settings: Settings,
    plane: DataPlane,
    sources: Sources,
    gpus: Gpus,
    sink: SpanSink | None,
    *,
    key_of_this_run: KeyEntry | None = None,
) -> AsyncIterator[ApiRun]:
    """Open the API; at the end of the block, requests in hand have `shutdown.drain_s` to finish.

    Raises `FatalError` when it cannot listen or read its keys.
    """
    api = settings.api
    places = Places(api.max_requests, max_waiting=api.max_waiting)
    sources.places = places
    moderator = RequestModerator(plane.moderator, plane.policies, max_image_bytes=settings.media.fetch.max_bytes)
    keys = ApiKeys({key_of_this_run.id: key_of_this_run}) if key_of_this_run is not None else None
    stored = StoredOutcomes(api.stored_verdicts, api.stored_bytes)
    async with (
        running_access(api, keys=keys) as access,
        beside_stream(settings, stored) if sources.has_stream else nullcontext() as uploads,
    ):
        sources.access_warnings = access.warnings
        parts = ApiParts(
            settings=api,
            access=access,
            judge=ImageJudge(moderator, places, stored, timeout_s=api.timeout_s),
            places=places,
            chats=_chats(settings, plane, has_stream=sources.has_stream),
            given=GivenAnswers(api.idempotency),
            stored=stored,
            later=AsyncAnswers(uploads, stored, plane.policies, places) if uploads is not None else None,
            outcome_topics=() if uploads is None else tuple(settings.topics.outcomes().values()),
            policies=plane.policies,
            describe=lambda policy: plane.engine.describe(policy.instructions),
            health=partial(_health, sources, gpus, started_at_s=time.monotonic()),
            tracer=RequestTracer(sink),
        )
        # Without a stream nothing else needs the event loop.
        loop_share = SHARE if sources.has_stream else 1.0
        app = build_application(parts)
        async with serve_http(app, api, drain_s=settings.shutdown.drain_s, loop_share=loop_share) as server:
            yield ApiRun(places, server.port)


def _chats(settings: Settings, plane: DataPlane, *, has_stream: bool) -> Chats:
    description = plane.engine.describe(plane.policies.default.instructions)
    images = ChatImages(fetcher=plane.fetcher, decoder=plane.decoder, memory=plane.memory)
    server = chat_server(plane.engine)
    turns = chat_turns(settings, description.concurrency, has_stream=has_stream)
    may_use = partial(_may_use_adapter, plane.policies)
    return Chats(server, images, settings.api, engine=description.kind, turns=turns, may_use=may_use)


def chat_turns(settings: Settings, concurrency: int, *, has_stream: bool) -> int:
    """Return how many chats may be in the engine, which `concurrency` images keep busy."""
    share = max(1, int(settings.api.share * concurrency))
    if has_stream:
        return share
    # Nothing else waits for the engine but other requests of the API. A step of vLLM has a token of every chat.
    vllm = settings.engine.vllm
    at_once = vllm.max_sequences * vllm.data_parallel if settings.engine.kind == "vllm" else concurrency
    return max(share, min(at_once, _MAX_CHATS))


def _may_use_adapter(policies: Policies, adapter: str, tenant: str) -> bool:
    """Return whether an adapter is for a tenant: not if all policies that name it are for others."""
    owners = [each.tenants for each in policies.by_name.values() if each.instructions.adapter == adapter]
    return not owners or any(not tenants or tenant in tenants for tenants in owners)


def _health(sources: Sources, gpus: Gpus, *, started_at_s: float) -> Mapping[str, object]:
    now_s = time.monotonic()
    return summary(sources, gpus.read(), version=version("modstream"), uptime_s=now_s - started_at_s, now_s=now_s)
