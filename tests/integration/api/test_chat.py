"""Chats over HTTP, with a fleet of servers for the model."""

import base64
import io
import struct
import zlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from aiohttp import web
from openai import APIStatusError, AsyncOpenAI
from PIL import Image

from service.settings.settings import Settings
from testing.http_api import RunningApi, running_api
from testing.http_server import LocalServer, serving
from testing.openai_server import ModelServer, model_server
from tests.integration.api.chatting import CHATS, about, data_url, picture, settings

pytestmark = pytest.mark.asyncio(loop_scope="module")


def bomb() -> bytes:
    """Return a PNG of a few kilobytes that says that it has 10 gigapixels."""
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 100_000)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


FILES: Mapping[str, bytes] = {"/a.jpg": picture(), "/bomb.png": bomb(), "/page.html": b"<html></html>"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host() -> AsyncIterator[LocalServer]:
    async def file(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=FILES[request.path]) if request.path in FILES else web.Response(status=404)

    async with serving(file) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[ModelServer]:
    async with model_server(adapters=("mine",)) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(server: ModelServer) -> AsyncIterator[RunningApi]:
    async with running_api(settings(server)) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=api.url, headers=api.headers, timeout=30) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def openai(api: RunningApi) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{api.url}/v1", api_key=api.key, max_retries=0) as client:
        yield client


def images_of(body: Mapping[str, Any]) -> list[tuple[int, int]]:
    parts = [part for part in body["messages"][1]["content"] if part["type"] == "image_url"]
    files = [base64.b64decode(part["image_url"]["url"].partition("base64,")[2]) for part in parts]
    return [Image.open(io.BytesIO(file)).size for file in files]


async def test_the_model_sees_pixels_and_not_the_clients_files(
    openai: AsyncOpenAI, server: ModelServer, host: LocalServer
) -> None:
    answer = await openai.chat.completions.create(
        model="painted", **about(f"{host.url}/a.jpg", data_url(picture(320, 320)))
    )
    assert answer.choices[0].message.content == '{"size":[480,640]}'
    assert images_of(server.bodies[-1]) == [(640, 480), (320, 320)]
    assert "a.jpg" not in str(server.bodies[-1])
    assert server.bodies[-1]["max_tokens"] == 100


async def test_the_model_is_named_by_its_name_an_alias_or_not_at_all(
    client: httpx.AsyncClient, server: ModelServer, host: LocalServer
) -> None:
    url = f"{host.url}/a.jpg"
    for name, served in [("painted", "painted"), ("gpt-4o", "painted"), (None, "painted"), ("mine", "mine")]:
        assert (await client.post(CHATS, json=about(url, model=name))).status_code == 200
        assert server.bodies[-1]["model"] == served
    unknown = await client.post(CHATS, json=about(url, model="gpt-5"))
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "chat.model_unknown"


async def test_models_are_listed_with_their_adapters(openai: AsyncOpenAI) -> None:
    assert [model.id async for model in openai.models.list()] == ["painted", "mine"]
    assert (await openai.models.retrieve("mine")).id == "mine"
    with pytest.raises(APIStatusError) as caught:
        await openai.models.retrieve("some/other")
    assert caught.value.code == "chat.model_unknown"


_RULES = "version: '1'\ncategories: {child_safety: {review: 0.5}, weapons: {block: 0.5}}\n"
POLICIES = {
    "everyone": f"name: default\n{_RULES}",
    "shop": f"name: shop\ntenants: shop\nadapter: shops\n{_RULES}",
}


async def test_an_adapter_of_another_tenants_policy_is_not_there(tmp_path: Path) -> None:
    for name, text in POLICIES.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    async with (
        model_server(adapters=("shops", "free")) as server,
        running_api(settings(server, policies=tmp_path)) as api,
        httpx.AsyncClient(base_url=api.url, headers=api.headers) as client,
    ):
        listed = (await client.get("/v1/models")).json()["data"]
        assert [(each["id"], each.get("parent")) for each in listed] == [("painted", None), ("free", "painted")]
        chats = {
            name: await client.post(CHATS, json=about(data_url(picture()), model=name)) for name in ("shops", "free")
        }
        assert {name: answer.status_code for name, answer in chats.items()} == {"shops": 404, "free": 200}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("http://169.254.169.254/latest/meta-data", "image.address_not_allowed"),
        ("http://[::1]:80/a.jpg", "image.address_not_allowed"),
        ("file:///etc/passwd", "image.scheme_not_allowed"),
        ("s3://bucket/key", "image.scheme_not_allowed"),
        ("ftp://127.0.0.1/a.jpg", "image.scheme_not_allowed"),
        ("HOST/bomb.png", "image.too_many_pixels"),
        ("HOST/page.html", "image.unsupported_format"),
        ("HOST/missing.jpg", "image.not_found"),
        (data_url(b"no image"), "image.unsupported_format"),
        ("data:image/png;base64,???", "image.reference_invalid"),
        ("a.jpg", "image.reference_invalid"),
    ],
)
async def test_an_image_that_is_not_safe_or_none_is_refused_by_its_place(
    client: httpx.AsyncClient, server: ModelServer, host: LocalServer, path: str, code: str
) -> None:
    before = len(server.bodies)
    answer = await client.post(CHATS, json=about(f"{host.url}/a.jpg", path.replace("HOST", host.url)))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, code)
    assert error["param"] == "messages.1.content.1.image_url"
    assert len(server.bodies) == before


@pytest.mark.parametrize(
    "part",
    [
        {"type": "video_url", "video_url": {"url": "http://127.0.0.1/v.mp4"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ],
)
async def test_video_audio_and_files_are_refused(openai: AsyncOpenAI, part: Any) -> None:
    with pytest.raises(APIStatusError) as caught:
        await openai.chat.completions.create(model="painted", messages=[{"role": "user", "content": [part]}])
    assert caught.value.status_code == 400
    assert caught.value.code == "chat.part_not_supported"


async def test_a_harmful_field_is_refused_by_its_name(openai: AsyncOpenAI) -> None:
    with pytest.raises(APIStatusError) as caught:
        await openai.chat.completions.create(
            model="painted", messages=[{"role": "user", "content": "x"}], extra_body={"chat_template": "{{ 1 }}"}
        )
    assert (caught.value.code, caught.value.param) == ("chat.field_not_supported", "chat_template")


async def test_an_answer_is_streamed(openai: AsyncOpenAI, server: ModelServer, host: LocalServer) -> None:
    server.misbehaves = streaming("Hel", "lo")
    try:
        events = await openai.chat.completions.create(
            model="painted", stream=True, stream_options={"include_usage": True}, **about(f"{host.url}/a.jpg")
        )
        chunks = [chunk async for chunk in events]
    finally:
        server.misbehaves = None
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 2


def streaming(*words: str, broken: bool = False) -> Any:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for word in words:
            await response.write(event({"choices": [{"index": 0, "delta": {"content": word}}]}))
        if broken:
            await response.write(event({"error": {"message": "no memory"}}))
            return response
        usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
        await response.write(event({"choices": [], "usage": usage}) + b"data: [DONE]\n\n")
        return response

    return answer


def event(document: Any) -> bytes:
    return b"data: " + orjson.dumps(document) + b"\n\n"


async def test_a_streamed_answer_that_breaks_off_ends_with_its_error(
    client: httpx.AsyncClient, server: ModelServer
) -> None:
    server.misbehaves = streaming("Hel", broken=True)
    try:
        answer = await client.post(CHATS, json={"messages": [{"role": "user", "content": "x"}], "stream": True})
    finally:
        server.misbehaves = None
    assert answer.headers["content-type"].startswith("text/event-stream")
    last = orjson.loads(answer.text.strip().split("\n\n")[-1].removeprefix("data: "))
    assert last["error"]["code"] == "engine.failed"
    assert "[DONE]" not in answer.text


async def test_an_error_before_the_first_event_has_a_status(client: httpx.AsyncClient) -> None:
    answer = await client.post(CHATS, json=about("file:///etc/passwd", stream=True))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "image.scheme_not_allowed")


async def test_an_engine_that_writes_no_text_says_what_to_install() -> None:
    async with (
        running_api(Settings.model_validate({"engine": {"kind": "rehearsal"}})) as api,
        httpx.AsyncClient(base_url=api.url, headers=api.headers) as client,
    ):
        for answer in (await client.post(CHATS, json=about()), await client.get("/v1/models")):
            error = answer.json()["error"]
            assert (answer.status_code, error["code"]) == (501, "chat.no_language_model")
            assert "set engine.kind to vllm" in error["message"]
            assert "make install-gpu" in error["message"]
            assert "modstream api --engine tiny" in error["message"]


async def test_a_key_without_the_scope_may_not_chat(api: RunningApi) -> None:
    async with httpx.AsyncClient(base_url=api.url) as client:
        assert (await client.post(CHATS, json=about())).status_code == 401
        assert (await client.get("/v1/models")).status_code == 401
