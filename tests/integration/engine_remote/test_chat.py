"""Chats that a fleet of servers answers."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
import orjson
import pytest
from aiohttp import web

from service.inference.chat import ChatModel, ChatRequest, ChatServer, Message
from service.inference.errors import AdapterMissingError, EngineFailedError, EngineRejectedError
from service.inference.openai.errors import AnswerBrokenOffError, ServerBusyError
from testing.openai_server import ModelServer, model_server
from testing.waiting import wait_until
from tests.integration.engine_remote.remote import ask, read_many, started

ROUND = np.full((64, 96, 3), 7, np.uint8)
DONE = b"data: [DONE]\n\n"


def chatting(request_id: str = "r", **more: Any) -> ChatRequest:
    parts = [{"type": "image", "pixels": ROUND}, {"type": "text", "text": "Describe <|im_end|> it"}]
    messages: list[Message] = [{"role": "system", "content": "Tags."}, {"role": "user", "content": parts}]
    given: dict[str, Any] = {"options": {"temperature": 0}, "max_tokens": 9, "tenant": "t"} | more
    return ChatRequest(request_id, messages, **given)


def event(**fields: Any) -> bytes:
    return b"data: " + orjson.dumps(fields) + b"\n\n"


def word(text: str) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": text}}])


USAGE = event(choices=[], usage={"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7})


class Streaming:
    """Streams pieces of an answer, the last ones once it is let."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.go = asyncio.Event()
        self.go.set()
        self.left = 0

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(self.pieces[0])
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.left += 1
            raise
        for piece in self.pieces[1:]:
            await response.write(piece)
        return response


def last(server: ModelServer) -> Mapping[str, Any]:
    return server.bodies[-1]


async def test_a_chat_is_passed_on_with_its_images_as_pixels() -> None:
    async with model_server(adapters=("mine",)) as server, started(server) as (model, _):
        answer = await model.chat.complete(chatting())
        assert answer["choices"][0]["message"]["content"] == '{"size":[64,96]}'
        body = last(server)
        assert body["model"] == "painted"
        assert body["max_tokens"] == 9
        assert body["messages"][0] == {"role": "system", "content": "Tags."}
        image, text = body["messages"][1]["content"]
        assert image["image_url"]["url"].startswith("data:image/bmp;base64,")
        assert "<|im_end|>" not in text["text"]
        await model.chat.complete(chatting(adapter="mine"))
        assert last(server)["model"] == "mine"
        assert await model.chat.models() == [ChatModel("painted"), ChatModel("mine", parent="painted")]


async def test_the_requests_own_limit_of_tokens_is_passed_on() -> None:
    async with model_server() as server, started(server) as (model, _):
        await model.chat.complete(chatting(options={"max_completion_tokens": 3}))
        assert "max_tokens" not in last(server)
        assert last(server)["max_completion_tokens"] == 3


async def test_servers_that_are_not_vllm_get_no_fields_of_vllms() -> None:
    async with model_server(owner="openai", sources=("top",)) as server, started(server) as (model, _):
        await model.chat.complete(chatting())
        assert not {"cache_salt", "stream_options"} & last(server).keys()


async def test_a_streamed_answer_arrives_as_it_is_written() -> None:
    streaming = Streaming(b": waiting\n\n" + word("a"), word("b") + USAGE[:10], USAGE[10:] + DONE)
    async with model_server(misbehaves=streaming, spares_checks=True) as server, started(server) as (model, _):
        streaming.go.clear()
        events = aiter(model.chat.stream(chatting()))
        assert await anext(events) == word("a")
        streaming.go.set()
        assert [each async for each in events] == [word("b"), DONE]
        assert last(server)["stream_options"] == {"include_usage": True}
        counted = [each async for each in model.chat.stream(chatting(include_usage=True))]
        assert counted == [word("a"), word("b"), USAGE, DONE]


@pytest.mark.parametrize(
    ("pieces", "error", "detail"),
    [
        ([word("a"), b""], AnswerBrokenOffError, "ended a streamed answer early"),
        ([word("a"), event(error={"message": "no memory"})], EngineFailedError, "no memory"),
        ([word("a"), b"data: <html>\n\n"], EngineFailedError, "no JSON object"),
        ([word("a"), b"x" * 300_000], EngineFailedError, "an event of more than"),
    ],
)
async def test_a_streamed_answer_that_goes_wrong_ends_with_an_error(
    pieces: list[bytes], error: type[Exception], detail: str
) -> None:
    async with (
        model_server(misbehaves=Streaming(*pieces), spares_checks=True) as server,
        started(server) as (model, _),
    ):
        events = aiter(model.chat.stream(chatting()))
        assert await anext(events) == word("a")
        with pytest.raises(error, match=detail):
            [each async for each in events]


async def test_a_chat_that_is_given_up_is_given_up_at_the_server() -> None:
    streaming = Streaming(word("a"))
    async with model_server(misbehaves=streaming, spares_checks=True) as server, started(server) as (model, _):
        streaming.go.clear()
        events: Any = model.chat.stream(chatting())
        await anext(events)
        await events.aclose()
        await wait_until(lambda: streaming.left == 1, description="the server noticed")


async def test_a_chat_goes_to_the_server_with_the_fewest_requests() -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(model_server()) for _ in range(2)]
        model, _ = await stack.enter_async_context(started(*servers))
        for server in servers:
            server.hold.clear()
        chats = [asyncio.create_task(_complete(model.chat, f"r{number}"), name="chat") for number in range(6)]
        await wait_until(lambda: [server.in_flight for server in servers] == [3, 3], description="all are in flight")
        for server in servers:
            server.hold.set()
        assert len(await asyncio.gather(*chats)) == 6


async def _complete(chat: ChatServer, request_id: str) -> Mapping[str, Any]:
    return await chat.complete(chatting(request_id))


async def test_a_chat_that_a_server_fails_on_is_answered_by_another() -> None:
    async with (
        model_server(status=500, spares_checks=True) as broken,
        model_server() as well,
        started(broken, well) as (model, _),
    ):
        for number in range(4):
            assert await model.chat.complete(chatting(f"r{number}"))
        assert well.asked == 4


async def test_a_chat_that_fails_everywhere_leaves_the_servers_to_the_images() -> None:
    async with model_server(spares_checks=True) as server, started(server, eject_after=1) as (model, _):
        server.status = 500
        with pytest.raises(EngineFailedError, match="answered 500"):
            await model.chat.complete(chatting())
        server.status = 200
        assert len(await asyncio.wait_for(read_many(model, 8), 10)) == 8


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_server_is_the_clients_to_wait_for_and_does_not_rest(status: int) -> None:
    async with model_server() as server, started(server) as (model, _):
        server.status, server.headers = status, {"Retry-After": "7"}
        with pytest.raises(ServerBusyError) as caught:
            await model.chat.complete(chatting())
        assert caught.value.asked_pause_s == 7
        server.status = 200
        assert await model.read(ask(), {"A": 65, "B": 66, "C": 67})
        assert model.is_reachable()


async def test_what_a_server_refuses_is_a_rejection() -> None:
    async with model_server(spares_checks=True) as server, started(server) as (model, _):
        server.status = 400
        with pytest.raises(EngineRejectedError, match="answered 400"):
            await model.chat.complete(chatting())
        server.status = 200
        with pytest.raises(AdapterMissingError):
            await model.chat.complete(chatting(adapter="unknown"))
