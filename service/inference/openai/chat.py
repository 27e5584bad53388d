"""Chat completions by a fleet of servers with OpenAI's API.

A chat goes to the server with the fewest requests, and to another one as long as nothing of an answer has come. What it
fails on changes nothing for the images: a server that fails is checked by a question of the service's own.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson

from service.core.errors import FatalError, ModstreamError, RejectedError
from service.core.pixels import ImageSpec
from service.inference.chat import ChatModel, ChatRequest, written_messages
from service.inference.errors import AdapterMissingError, EngineFailedError, EngineNotRunningError
from service.inference.openai.answers import Answer
from service.inference.openai.capabilities import served_models
from service.inference.openai.chat_events import Events
from service.inference.openai.client import MAX_ANSWER_BYTES, OpenAIClient, pieces
from service.inference.openai.completions import check_answer, usage
from service.inference.openai.dispatch import Dispatcher
from service.inference.openai.errors import ServerBusyError
from service.inference.openai.fleet import Fleet, Server
from service.inference.openai.requests import Dialect, data_url
from service.inference.openai.turns import Request
from service.inference.token_counts import count_tokens
from service.inference.vision.image_input import fit, image_spec

_PATH = "/v1/chat/completions"

_MAX_TRIES = 3
"""Servers that a chat may fail at: it may be what makes them fail."""

_VISION_TOKENS = 1024
"""Of one image: the most of vLLM's model in this process, by default. Servers do not say what they take."""
_MAX_VISION_TOKENS = 3072
"""Of all images of one chat: three quarters of the shortest context that servers are started with."""

_MAX_STREAMED_BYTES = 4 * MAX_ANSWER_BYTES
"""Of one streamed answer, in which each token has a kilobyte around it where its likely alternatives are wanted."""

Write = Callable[[Callable[[], bytes]], Awaitable[bytes]]
"""Writes a body outside of the event loop."""


class FleetChat:
    """A `ChatServer` on remote servers."""

    def __init__(
        self,
        fleet: Fleet,
        dispatcher: Dispatcher,
        client: OpenAIClient,
        *,
        dialect: Callable[[], Dialect],
        write: Write,
    ) -> None:
        """`dialect` returns what all servers understand; it raises `EngineNotRunningError` before the start."""
        self._fleet = fleet
        self._dispatcher = dispatcher
        self._client = client
        self._dialect = dialect
        self._write = write

    async def models(self) -> Sequence[ChatModel]:
        """Return the model, then the adapters that the first server that works lists."""
        model = self._dialect().model
        server = next((each for each in self._fleet.servers if each.in_use), None)
        if server is None:
            raise EngineFailedError(detail="no server answers (engine.openai.base_urls)")
        served = await served_models(self._client, server)
        return [ChatModel(model), *(ChatModel(each.name, parent=model) for each in served if each.is_adapter)]

    def image_spec(self, images: int) -> ImageSpec:
        """Return pixels that common servers take."""
        return image_spec(min(_VISION_TOKENS, max(1, _MAX_VISION_TOKENS // max(1, images))))

    async def complete(self, request: ChatRequest) -> Mapping[str, Any]:
        """Return the whole answer."""
        async with self._answered(request, stream=False) as (server, response):
            body = b"".join([piece async for piece in pieces(server, response, max_bytes=MAX_ANSWER_BYTES)])
            answer = Answer(server.name, response.status, body).json()
            check_answer(answer)
            self._finished(server, usage(answer))
            return answer

    async def stream(self, request: ChatRequest) -> AsyncGenerator[bytes, None]:
        """Yield the answer's events as they come."""
        events = Events(include_usage=request.include_usage)
        async with self._answered(request, stream=True) as (server, response):
            async for piece in pieces(server, response, max_bytes=_MAX_STREAMED_BYTES):
                for event in events.read(piece, server.name):
                    yield event
            events.end(server.name)
            self._finished(server, events.usage)

    @asynccontextmanager
    async def _answered(self, request: ChatRequest, *, stream: bool) -> AsyncIterator[tuple[Server, Any]]:
        """Yield the server that answers, and its response; an answer that breaks off casts doubt on the server."""
        dialect = self._dialect()
        body = await self._write(lambda: _body(request, dialect, stream=stream))
        async with AsyncExitStack() as stack:
            server, response = await self._first_answer(request, body, stack)
            try:
                yield server, response
            except EngineFailedError:
                self._dispatcher.doubt(server)
                raise

    async def _first_answer(
        self, request: ChatRequest, body: bytes, stack: AsyncExitStack
    ) -> tuple[Server, aiohttp.ClientResponse]:
        asked = Request(_PATH, body, f"chat {request.request_id}", request.adapter)
        tried: list[Server] = []
        while True:
            async with AsyncExitStack() as attempt:
                server = await attempt.enter_async_context(self._dispatcher.place(asked, tried))
                try:
                    response = await attempt.enter_async_context(self._client.opened(server, _PATH, body))
                    if response.status == HTTPStatus.OK:
                        stack.push_async_exit(attempt.pop_all())
                        return server, response
                    failure = await _failure(request, server, response)
                except EngineNotRunningError:
                    raise
                except EngineFailedError as error:
                    failure = error
            tried.append(server)
            self._note(server, failure)
            if self._is_final(failure, tried):
                raise failure

    def _note(self, server: Server, failure: ModstreamError) -> None:
        if isinstance(failure, EngineFailedError) and not isinstance(failure, ServerBusyError):
            self._dispatcher.doubt(server)

    def _is_final(self, failure: ModstreamError, tried: Sequence[Server]) -> bool:
        if isinstance(failure, RejectedError | FatalError) or len(tried) >= _MAX_TRIES:
            return True
        return not any(server.in_use and server not in tried for server in self._fleet.servers)

    def _finished(self, server: Server, counts: Mapping[str, int | None]) -> None:
        self._fleet.answered(server)
        count_tokens(
            prompt=counts.get("given") or 0, cached=counts.get("cached") or 0, generated=counts.get("generated") or 0
        )


async def _failure(request: ChatRequest, server: Server, response: aiohttp.ClientResponse) -> ModstreamError:
    """Return what a response that is no success stands for."""
    body = b"".join([piece async for piece in pieces(server, response, max_bytes=MAX_ANSWER_BYTES)])
    answer = Answer(server.name, response.status, body, response.headers.get("Retry-After"))
    failure = answer.failure()
    if answer.names_nothing and request.adapter is not None:
        return AdapterMissingError(name=request.adapter, detail=str(failure))
    return failure


def _body(request: ChatRequest, dialect: Dialect, *, stream: bool) -> bytes:
    document: dict[str, Any] = {
        "model": request.adapter or dialect.model,
        "messages": written_messages(
            request.messages,
            lambda pixels: {"type": "image_url", "image_url": {"url": data_url(fit(pixels), dialect.image_format)}},
        ),
        **request.options,
    }
    if not {"max_tokens", "max_completion_tokens"} & request.options.keys():
        document["max_tokens"] = request.max_tokens
    if stream:
        document["stream"] = True
    # Asked for in any case of servers that are known to take it: the service counts tokens.
    if stream and (request.include_usage or dialect.speaks_vllm):
        document["stream_options"] = {"include_usage": True}
    if dialect.speaks_vllm:
        document["cache_salt"] = sha256(request.tenant.encode()).hexdigest()
    return orjson.dumps(document)
