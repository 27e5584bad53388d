"""Chat completions and models, as OpenAI's clients ask for them."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api.bodies import json_body, read_json
from service.api.errors import ApiError
from service.api.judging.judging_errors import document_of, headers_of, status_of
from service.api.models import ErrorAnswer
from service.api.openai.chat_body import ChatCompletionRequest
from service.api.openai.chat_errors import ChatModelUnknownError
from service.api.openai.chat_images import ChatImageError
from service.api.openai.chat_reading import Chat, read_chat
from service.api.openai.chats import Chats
from service.api.parts import ApiParts, Chatting
from service.api.request_log import facts_of
from service.core.errors import ModstreamError, RejectedError
from service.inference.chat import ChatModel
from service.inference.openai.errors import ServerBusyError
from service.media.errors import ImageTooLargeError

_TAGGING = "Return category, colors, season, audience and slogan as JSON."
_EXAMPLES: Mapping[str, Any] = {
    "tags as JSON": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": _TAGGING},
                    {"type": "image_url", "image_url": {"url": "https://cdn.example.com/42.jpg"}},
                ],
            }
        ],
        "response_format": {"type": "json_object"},
        "max_tokens": 300,
    },
    "text, streamed": {"messages": [{"role": "user", "content": "Hello"}], "stream": True},
}
_ANSWER: Mapping[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer: OpenAI's `chat.completion`, or server-sent events with its chunks.",
        "content": {"application/json": {"schema": {"type": "object"}}, "text/event-stream": {}},
    },
    404: {"model": ErrorAnswer, "description": "The model is not served."},
    501: {"model": ErrorAnswer, "description": "The engine is no language model."},
}


def chat_routes(parts: ApiParts) -> APIRouter:
    """Return the routes of chats and models."""
    router = APIRouter(tags=["chat"])
    chats, began_s = parts.chats, int(time.time())

    async def chat_completions(request: Request, caller: Chatting) -> Response:
        """Chat with the vision-language model, about images or without. Compatible with OpenAI's API."""
        parts.places.check_open()
        chats.check()
        chat = read_chat(await read_json(request), parts.settings)
        facts_of(request.scope).images = len(chat.images)
        caller.take(len(chat.images), requests=0)
        try:
            if chat.body.stream:
                return await _streamed(request, chats, chat, caller.tenant)
            return _json(await chats.complete(chat, tenant=caller.tenant))
        except (ModstreamError, ChatImageError) as error:
            return _refused(request, error)

    async def models(caller: Chatting) -> Response:
        """List the model, and the adapters that answer by their own names."""
        served = await chats.models(tenant=caller.tenant)
        return _json({"object": "list", "data": [_card(each, began_s) for each in served]})

    async def model(name: str, caller: Chatting) -> Response:
        """Return one model of the list. Names may have slashes."""
        served = {each.name: each for each in await chats.models(tenant=caller.tenant)}
        if name not in served:
            raise ChatModelUnknownError(name=name, param="model")
        return _json(_card(served[name], began_s))

    router.add_api_route(
        "/v1/chat/completions",
        chat_completions,
        methods=["POST"],
        responses=dict(_ANSWER),
        openapi_extra=json_body([ChatCompletionRequest], _EXAMPLES),
        operation_id="chat_completions",
    )
    for path, route in (("/v1/models", models), ("/v1/models/{name:path}", model)):
        router.add_api_route(path, route, methods=["GET"], responses=dict(_ANSWER), operation_id=route.__name__)
    return router


class _Events(StreamingResponse):
    """Server-sent events; what makes them ends with the response."""

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes, None], request: Request) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(self._all(first, request), media_type="text/event-stream", headers=headers)
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._rest.aclose()

    async def _all(self, first: bytes, request: Request) -> AsyncIterator[bytes]:
        yield first
        try:
            async for event in self._rest:
                yield event
        except (ModstreamError, ApiError) as error:
            document = error.document() if isinstance(error, ApiError) else document_of(error)
            facts_of(request.scope).reason = error.reason
            yield b"data: " + orjson.dumps(document) + b"\n\n"


async def _streamed(request: Request, chats: Chats, chat: Chat, tenant: str) -> Response:
    """Return a response once there is its first event: errors before that have a status of their own."""
    events = chats.stream(chat, tenant=tenant)
    try:
        first = await anext(events, b"")
    except BaseException:  # a caller that leaves frees its place in the engine as well
        await events.aclose()
        raise
    return _Events(first, events, request)


def _refused(request: Request, error: ModstreamError | ChatImageError) -> Response:
    """Return the answer for what a chat failed on. OpenAI's clients expect 400 for what is their own fault."""
    param = error.place if isinstance(error, ChatImageError) else None
    cause = error.error if isinstance(error, ChatImageError) else error
    is_own = isinstance(cause, RejectedError) and not isinstance(cause, ImageTooLargeError)
    status = HTTPStatus.BAD_REQUEST if is_own else status_of(cause)
    headers = dict(headers_of(cause))
    if isinstance(cause, ServerBusyError):
        headers["Retry-After"] = str(max(1, round(cause.asked_pause_s or 1)))
    facts_of(request.scope).reason = cause.reason
    body = orjson.dumps(document_of(cause, param=param))
    return Response(body, status.value, headers, media_type="application/json")


def _card(model: ChatModel, created_s: int) -> Mapping[str, Any]:
    card = {"id": model.name, "object": "model", "created": created_s, "owned_by": "modstream"}
    return card if model.parent is None else {**card, "parent": model.parent}


def _json(document: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")
