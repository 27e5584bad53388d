"""A vision-language model behind HTTP: one or more servers with OpenAI's API, `vllm serve` first."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import structlog

from service.core.availability import EngineAvailability
from service.core.errors import FatalError, ModstreamError
from service.inference.errors import (
    EngineConfigurationError,
    EngineFailedError,
    EngineNotRunningError,
    UnknownAdapterError,
)
from service.inference.openai.capabilities import (
    ServerCapabilities,
    agreed,
    check_adapter,
    check_largest,
    probe,
    unlike,
)
from service.inference.openai.chat import FleetChat
from service.inference.openai.client import OpenAIClient
from service.inference.openai.completions import ROUNDING, first_step, is_incomplete, of_words, usage, written
from service.inference.openai.dispatch import Dispatcher
from service.inference.openai.errors import ServerBusyError
from service.inference.openai.fleet import Fleet, FleetLimits, Server
from service.inference.openai.requests import Dialect, read_body, write_body
from service.inference.openai.server_watch import ServerWatch
from service.inference.openai.tokens import first_tokens
from service.inference.openai.turns import Request
from service.inference.vision.asking_trace import record_token_counts
from service.inference.vision.token_model import GeneratedText, LabelSource, ModelFacts, ModelRequest
from service.settings.openai import OpenAISettings

log = structlog.get_logger(__name__)

T = TypeVar("T")

_COMPLETIONS = "/v1/chat/completions"
_UNKNOWN = "unknown"


class OpenAIModel:
    """A `TokenModel` on remote servers; the death of a server does not end the process."""

    def __init__(self, settings: OpenAISettings, availability: EngineAvailability | None = None) -> None:
        """`availability` is updated when no server answers, and when one does again."""
        self._settings = settings
        limits = FleetLimits(
            max_in_flight=settings.max_in_flight,
            eject_after=settings.eject_after,
            return_after_s=settings.return_after_s,
            max_return_after_s=settings.max_return_after_s,
        )
        self._fleet = Fleet([Server(url) for url in settings.base_urls], limits)
        self._client = OpenAIClient(settings)
        self._dispatcher = Dispatcher(self._fleet, self._client, availability or EngineAvailability())
        self._watch = ServerWatch(
            self._fleet,
            self._dispatcher,
            self._client,
            admission=self._admission,
            interval_s=settings.health_interval_s,
        )
        self.chat = FleetChat(self._fleet, self._dispatcher, self._client, dialect=self._dialect, write=self._written)
        self._writers = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="write image")
        self._capabilities: ServerCapabilities | None = None
        self._largest: ModelRequest | None = None
        """The largest question of all policies, without an adapter, for servers that come back."""
        self._last_failure = "none has answered yet"
        self._stopped = False

    def is_reachable(self) -> bool:
        """Return whether any server works."""
        return self._fleet.is_reachable

    async def start(self) -> ModelFacts:
        """Wait for the first server, and find out what it serves."""
        settings = self._settings
        await self._client.open()
        async with self._startup_limit():
            self._capabilities = agreed(await self._first_capabilities())
        self._watch.open()
        return ModelFacts(
            name=self._capabilities.dialect.model,
            revision=settings.revision or _UNKNOWN,
            precision=settings.precision or _UNKNOWN,
            concurrency=settings.max_in_flight * len(settings.base_urls),
            label_source=self._capabilities.label_source,
        )

    async def prepare(
        self, adapter: str | None, words: Sequence[str], largest: ModelRequest | None = None
    ) -> Mapping[str, int]:
        """See that a server serves the adapter, and let it make tokens of the words and answer the largest question.

        Waits for a server as the start does: one may be busy, or restart, since it was found.
        Where no server tokenizes, a word's first character stands for its token. Servers without the adapter are left
        alone: they may have started without it, and answer all other policies.
        """
        found = self._ready()
        async with self._startup_limit():
            tokens = await self._first_preparations(adapter, words, largest)
        if any(each != tokens[0] for each in tokens):
            detail = "the servers' tokenizers differ: they do not serve the same model"
            raise EngineConfigurationError(setting="engine.openai.base_urls", detail=detail)
        return tokens[0] if found.tokenizes else {word: ord(word[0]) for word in words}

    async def read(self, ask: ModelRequest, words: Mapping[str, int]) -> Mapping[str, float]:
        """Read labels in the best way that all servers offer."""
        found, tokens = self._ready(), list(words.values())
        body = await self._written(lambda: read_body(ask, found.dialect, found.label_source, tokens))
        step = await self._answer(body, ask, lambda answer: _log_probabilities(answer, found.label_source, tokens))
        return of_words(step, words)

    async def write(self, ask: ModelRequest, json_schema: Mapping[str, Any], *, max_tokens: int) -> GeneratedText:
        """Have JSON generated that the server keeps to the schema."""
        found = self._ready()
        body = await self._written(lambda: write_body(ask, found.dialect, json_schema, max_tokens=max_tokens))
        return await self._answer(body, ask, lambda answer: written(answer, max_tokens=max_tokens))

    async def stop(self) -> None:
        """Close every connection."""
        self._stopped = True
        self._dispatcher.close()
        await self._watch.close()
        await self._client.close()
        self._writers.shutdown(wait=False)

    def _ready(self) -> ServerCapabilities:
        if self._capabilities is None or self._stopped:
            raise EngineNotRunningError
        return self._capabilities

    def _dialect(self) -> Dialect:
        return self._ready().dialect

    async def _first_capabilities(self) -> Mapping[Server, ServerCapabilities]:
        """Return once a server answers; the others are out until they do, too."""
        while True:
            results = await asyncio.gather(*(self._look_at(server) for server in self._fleet.servers))
            looked = dict(zip(self._fleet.servers, results, strict=True))
            found = {server: result for server, result in looked.items() if isinstance(result, ServerCapabilities)}
            failures = {server: result for server, result in looked.items() if isinstance(result, ModstreamError)}
            for failure in failures.values():
                if isinstance(failure, FatalError):
                    raise failure
            if found:
                for server, failure in failures.items():
                    self._dispatcher.eject(server, failure)
                return found
            await self._pause(failures.values())

    async def _first_preparations(
        self, adapter: str | None, words: Sequence[str], largest: ModelRequest | None
    ) -> Sequence[Mapping[str, int]]:
        """Return the tokens of all servers that answer, once one does."""
        while True:
            servers = [server for server in self._fleet.servers if not server.out]
            results = await asyncio.gather(*(self._prepare(server, adapter, words, largest) for server in servers))
            tokens = [result for result in results if not isinstance(result, ModstreamError)]
            failures = [result for result in results if isinstance(result, ModstreamError)]
            fatal = [failure for failure in failures if isinstance(failure, FatalError)]
            if fatal and (not tokens or not all(isinstance(each, UnknownAdapterError) for each in fatal)):
                raise fatal[0]
            if tokens:
                return tokens
            await self._pause(failures)

    @asynccontextmanager
    async def _startup_limit(self) -> AsyncIterator[None]:
        """Bound the time in which a server has to answer."""
        limit_s = self._settings.startup_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                yield
        except TimeoutError:
            detail = f"no server answers in {limit_s:g} s (engine.openai.startup_timeout_s): {self._last_failure}"
            raise EngineConfigurationError(setting="engine.openai.base_urls", detail=detail) from None

    async def _pause(self, failures: Collection[ModstreamError]) -> None:
        """Wait until servers that do not answer yet are asked again."""
        self._last_failure = str(next(iter(failures), "every server is out"))
        log.info("engine.waiting", detail=self._last_failure)
        pauses_s = [self._pause_s(failure) for failure in failures]
        await asyncio.sleep(max(pauses_s, default=self._settings.return_after_s))

    def _pause_s(self, failure: ModstreamError) -> float:
        """Return how long to wait until a server is asked again that does not answer yet."""
        asked_s = failure.asked_pause_s if isinstance(failure, ServerBusyError) else None
        return min(max(asked_s or 0.0, self._settings.return_after_s), self._settings.max_return_after_s)

    async def _look_at(self, server: Server) -> ServerCapabilities | ModstreamError:
        try:
            return await probe(self._client, server, self._settings)
        except ModstreamError as failure:
            return failure

    async def _admission(self, server: Server) -> ModstreamError | None:
        """Return why a server that comes late, or back, cannot do what the fleet does."""
        result = await self._look_at(server)
        if not isinstance(result, ServerCapabilities):
            return result
        failure = unlike(self._ready(), result, server)
        if failure is None and self._largest is not None:
            try:
                await check_largest(self._client, server, result.dialect, self._largest)
            except ModstreamError as refused:
                return refused
        return failure

    async def _prepare(
        self, server: Server, adapter: str | None, words: Sequence[str], largest: ModelRequest | None
    ) -> Mapping[str, int] | ModstreamError:
        found = self._ready()
        try:
            if adapter is not None:
                await check_adapter(self._client, server, adapter)
            if largest is not None:
                await check_largest(self._client, server, found.dialect, largest)
                if self._largest is None or self._largest.pixels.size < largest.pixels.size:
                    self._largest = replace(largest, adapter=None)
            return await first_tokens(self._client, server, adapter or found.dialect.model, words) or {}
        except ModstreamError as failure:
            return failure

    async def _answer(self, body: bytes, ask: ModelRequest, read: Callable[[Mapping[str, Any]], T]) -> T:
        request = Request(_COMPLETIONS, body, ask.image_key, ask.adapter, ask.losses, ask.clock)
        answer, token_counts = await self._dispatcher.post(request, lambda answer: (read(answer), usage(answer)))
        record_token_counts(**token_counts)
        return answer

    async def _written(self, write: Callable[[], bytes]) -> bytes:
        """Write a body outside of the event loop: an image takes milliseconds."""
        return await asyncio.get_running_loop().run_in_executor(self._writers, write)


def _log_probabilities(answer: Mapping[str, Any], source: LabelSource, tokens: Sequence[int]) -> Mapping[str, float]:
    """Return the log-probabilities of an answer; raise `EngineFailedError` if some are missing."""
    step = first_step(answer)
    if max(step.values()) > ROUNDING:
        raise EngineFailedError(detail="a server's log-probabilities are none: some are above 0")
    if source == "exact" and is_incomplete(step, tokens):
        detail = (
            "a server returned only some labels: it was replaced by one that offers less (engine.openai.label_source)"
        )
        raise EngineFailedError(detail=detail)
    return step
