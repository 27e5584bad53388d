"""A server with OpenAI's API whose model reads its answers off the pixels, and which can misbehave."""

import asyncio
import base64
import io
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson
from aiohttp import web
from PIL import Image

from service.core.pixels import RgbPixels
from testing.http_server import Handler, serving

KEY = "a key of these tests"

# What stands around a turn; characters are their own tokens.
_ASSISTANT = [1, 2, 3]
_END = [4]

_LOWEST = -9999.0


@dataclass
class ModelServer:
    """What a test sees of the server, and sets of its behaviour."""

    url: str
    model: str = "painted"
    adapters: tuple[str, ...] = ()
    owner: str = "vllm"
    """Another one refuses vLLM's own fields, as strict servers do."""
    sources: tuple[str, ...] = ("exact", "top")
    """Ways of reading labels that it knows; `allowed` returns probabilities after the restriction."""
    tokenizes: bool = True
    key: str | None = None
    status: int = 200
    """Of completions."""
    instead: bytes | None = None
    """Of every answer to a completion."""
    finish_reason: str = "stop"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of completions that fail."""
    spares_checks: bool = False
    """Whether the service's own questions are answered all the same, however the server behaves to records."""
    misbehaves: Handler | None = None
    """Answers completions in its place."""
    busy_for: str | None = None
    """A word in a question that the server answers by 429."""
    dies_of: str | None = None
    """A word in a question that makes the server drop every connection with a completion, its own last."""
    max_body_bytes: int = 1 << 30
    """Larger completions are refused by `too_large`, as by a gateway before the server."""
    too_large: int = 413
    refused_large: int = 0
    max_top: int = 20
    """More likely tokens than these are refused."""
    tokens_are_a_page: bool = False
    """Whether `/tokenize` answers with a page of an application at the same address."""
    rounding: float = 0.0
    """Added to every log-probability."""
    health: int = 200
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    """Completions wait for it; set at first."""
    bodies: list[Mapping[str, Any]] = field(default_factory=list)
    """Of completions."""
    in_flight: int = 0
    most_in_flight: int = 0
    given_up: int = 0
    """Completions that the client left."""
    stays_dead_s: float = 0.0
    """How long it drops every request after a death."""
    back_at_s: float = 0.0
    watched: str = ""
    """A word in a question, whose company is counted."""
    company: int = 0
    """Other completions that were in flight with it."""
    breaks_every: int = 0
    """Breaks the connection of each so manyth completion for a record."""
    deaths: int = 0
    transports: set[Any] = field(default_factory=set)
    """Of completions in flight."""

    @property
    def asked(self) -> int:
        """Completions so far, without those of a probe."""
        return sum(not _is_check(body) for body in self.bodies)


@asynccontextmanager
async def model_server(*, port: int = 0, **behaviour: Any) -> AsyncIterator[ModelServer]:
    """Serve until the block ends."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if time.monotonic() < server.back_at_s:
            assert request.transport is not None
            request.transport.abort()
        if server.key and request.path.startswith("/v1") and request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"error": "Unauthorized"}, status=401)
        match request.path:
            case "/health":
                return web.Response(status=server.health)
            case "/v1/models":
                return web.json_response(_models(server))
            case "/tokenize" if server.tokenizes:
                return _tokenized(server, await request.content.read())
            case "/v1/chat/completions":
                return await _through_the_gateway(server, request)
        return web.json_response({"detail": "Not Found"}, status=404)

    async with serving(handler, port=port) as listening:
        server = ModelServer(listening.url, **behaviour)
        server.hold.set()
        yield server


def _models(server: ModelServer) -> Mapping[str, Any]:
    own = {"id": server.model, "owned_by": server.owner, "parent": None}
    adapters = [{"id": name, "owned_by": server.owner, "parent": server.model} for name in server.adapters]
    return {"object": "list", "data": [own, *adapters]}


def _tokenized(server: ModelServer, body: bytes) -> web.Response:
    if server.tokens_are_a_page:
        return web.Response(text="<html></html>", content_type="text/html")
    return web.json_response({"tokens": _tokens(orjson.loads(body))})


def _tokens(body: Mapping[str, Any]) -> list[int]:
    if "prompt" in body:
        return [ord(character) for character in body["prompt"]]
    question, *answer = body["messages"]
    reported = [ord(character) for turn in answer for character in turn["content"]]
    after = _ASSISTANT if body["add_generation_prompt"] or answer else []
    return [ord(character) for character in question["content"]] + after + reported


def _is_check(body: Mapping[str, Any]) -> bool:
    return "or B?" in str(body["messages"][1]["content"][-1])


async def _through_the_gateway(server: ModelServer, request: web.BaseRequest) -> web.StreamResponse:
    body = await request.content.read()
    if len(body) <= server.max_body_bytes:
        return await _complete(server, request, orjson.loads(body))
    server.refused_large += 1
    return web.Response(status=server.too_large, text="<html>the gateway's</html>", content_type="text/html")


async def _complete(server: ModelServer, request: web.BaseRequest, body: Mapping[str, Any]) -> web.StreamResponse:
    server.bodies.append(body)
    if server.spares_checks and _is_check(body):
        return _answer(replace(server, finish_reason="stop", sources=("exact", "top")), body)
    if server.misbehaves is not None:
        return await server.misbehaves(request)
    question = str(body["messages"][1]["content"][-1])
    if server.busy_for is not None and server.busy_for in question:
        return _error(429, "too large a request")
    if server.watched and server.watched in question:
        server.company = server.in_flight
    server.transports.add(request.transport)
    _break(server, request, question, body)
    await _held(server, request)
    if server.status != 200:
        reported = f"no answer to '{body['messages'][1]['content'][-1]['text']}'"
        return _error(server.status, reported, server.headers)
    if body["model"] not in (server.model, *server.adapters):
        return _error(404, f"The model `{body['model']}` does not exist.")
    return _answer(server, body) if server.instead is None else web.Response(body=server.instead)


def _break(server: ModelServer, request: web.BaseRequest, question: str, body: Mapping[str, Any]) -> None:
    """Break connections, if it is time or the question is one to die of."""
    if server.dies_of is not None and server.dies_of in question:
        server.deaths += 1
        server.back_at_s = time.monotonic() + server.stays_dead_s
        for transport in server.transports:
            transport.abort()
    if server.breaks_every and server.asked % server.breaks_every == 0 and not _is_check(body):
        assert request.transport is not None
        request.transport.abort()


async def _held(server: ModelServer, request: web.BaseRequest) -> None:
    """Hold a completion for as long as the test wants."""
    server.in_flight += 1
    server.most_in_flight = max(server.most_in_flight, server.in_flight)
    try:
        await server.hold.wait()
    except asyncio.CancelledError:
        server.given_up += 1
        raise
    finally:
        server.in_flight -= 1
        server.transports.discard(request.transport)


def _answer(server: ModelServer, body: Mapping[str, Any]) -> web.Response:
    vllm_fields = {"logprob_token_ids", "allowed_token_ids", "structured_outputs", "return_tokens_as_token_ids"}
    if body.get("top_logprobs", 0) > server.max_top:
        return _error(400, f"top_logprobs must be at most {server.max_top}")
    if server.owner != "vllm" and (strange := vllm_fields & body.keys()):
        return _error(400, f"Unrecognized request argument supplied: {min(strange)}")
    pixels = painted_pixels(body)
    message = {"content": orjson.dumps({"size": list(pixels.shape[:2])}).decode()}
    choice: dict[str, Any] = {"finish_reason": server.finish_reason, "message": message}
    if body.get("logprobs"):
        choice |= {"logprobs": {"content": [_step(server, body, pixels)]}}
    return web.json_response({"choices": [choice]})


def _step(server: ModelServer, body: Mapping[str, Any], pixels: RgbPixels) -> Mapping[str, Any]:
    chances = _chances(pixels)
    entries: list[tuple[str, float]] = sorted(chances.items(), key=lambda entry: -entry[1])[
        : body.get("top_logprobs", 0)
    ]
    if "exact" in server.sources and (wanted := body.get("logprob_token_ids")):
        entries = [(chr(token), chances.get(chr(token), 0.0)) for token in wanted]
    elif "allowed" in server.sources and (wanted := body.get("allowed_token_ids")):
        total = sum(chances.get(chr(token), 0.0) for token in wanted)
        entries = [(chr(token), chances.get(chr(token), 0.0) / total) for token in wanted]
    by_id = bool(body.get("return_tokens_as_token_ids"))
    reported = [
        {
            "token": f"token_id:{ord(text)}" if by_id else text,
            "logprob": math.log(chance) + server.rounding if chance else _LOWEST,
        }
        for text, chance in entries
    ]
    return (
        {**reported[0], "top_logprobs": reported} if reported else {"token": "?", "logprob": -1.0, "top_logprobs": []}
    )


def _chances(pixels: RgbPixels) -> dict[str, float]:
    """The first pixel's colours are the chances of A, B and C in 1000ths; the rest falls on other words."""
    a, b, c = (int(value) / 1000 for value in pixels[0, 0])
    return {"A": a, "B": b, "C": c, "I": 1.0 - a - b - c}


def painted_pixels(body: Mapping[str, Any]) -> RgbPixels:
    """Return the image in a request."""
    image = body["messages"][1]["content"][0]["image_url"]["url"]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(image.partition(",")[2]))))


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": message, "code": status}}, status=status, headers=headers)
