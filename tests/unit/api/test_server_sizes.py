"""What a client sends is bounded before it is held. All with real sockets."""

import asyncio

import pytest

from service.api.connections.connection_limits import MAX_HEAD_BYTES, MAX_HEADERS
from service.settings.api import ApiSettings
from testing.badly_treated_api import CHUNKED, GET, MIB, App, post, serving
from testing.raw_client import raw_client
from testing.waiting import wait_until


@pytest.fixture
async def app() -> App:
    return App()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /size HTTP/1.1\r\nX: " + b"y" * MAX_HEAD_BYTES,
        b"GET /" + b"y" * MAX_HEAD_BYTES,
        b"\r\n" * MAX_HEAD_BYTES,
        b"GET /size HTTP/1.1\r\n" + b"X: y\r\n" * (MAX_HEADERS + 1) + b"\r\n",
    ],
    ids=["header", "path", "empty lines", "number"],
)
async def test_heads_that_are_too_large_are_refused(app: App, head: bytes) -> None:
    async with serving(app) as server, raw_client(server.port) as client:
        await client.send(head)
        answer = await client.answer()
        assert (answer.status, answer.code) == (431, "api.head_too_large")
        assert await client.is_closed()
    assert app.begun == 0


async def test_a_body_that_is_too_large_by_its_length_is_refused_before_it_is_read(app: App) -> None:
    async with serving(app, ApiSettings(max_body_bytes=1000)) as server, raw_client(server.port) as client:
        await client.send(post("/size", 1001))
        answer = await client.answer()
        assert (answer.status, answer.code) == (413, "api.body_too_large")
        assert answer.headers["connection"] == "close"
    assert app.begun == 0


async def test_a_chunked_body_is_cut_off_at_the_limit(app: App) -> None:
    async with serving(app, ApiSettings(max_body_bytes=1000)) as server, raw_client(server.port) as client:
        await client.send(CHUNKED, b"200\r\n" + b"x" * 512 + b"\r\n")
        await wait_until(lambda: app.begun == 1, description="the handler begins")
        await client.send(b"200\r\n" + b"x" * 512 + b"\r\n")
        assert (await client.answer()).code == "api.body_too_large"
        await wait_until(lambda: app.cancelled == 1, description="the handler is cancelled")
        assert server.held_bytes == 0


async def test_a_body_of_the_limit_itself_is_taken(app: App) -> None:
    async with serving(app, ApiSettings(max_body_bytes=1000)) as server, raw_client(server.port) as client:
        await client.send(post("/size", 1000) + b"x" * 1000)
        assert (await client.answer()).json == 1000
        await client.send(CHUNKED, b"3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n")
        assert (await client.answer()).json == 1000


async def test_a_client_that_sends_on_still_reads_why_it_was_refused(app: App) -> None:
    async with serving(app) as server, raw_client(server.port) as client:
        await client.send(post("/size", 33 * MIB))
        sending = asyncio.create_task(client.send(*[b"x" * MIB] * 30))
        assert (await client.answer()).status == 413
        await sending


async def test_a_refused_client_does_not_send_for_ever(app: App) -> None:
    async with serving(app, ApiSettings(max_body_bytes=MIB)) as server, raw_client(server.port) as client:
        await client.send(post("/size", 100 * MIB))
        await client.drip(b"x" * 100_000, every_s=0)
        await wait_until(lambda: server.connections == 0, description="the connection is ended")


async def test_a_refused_client_does_not_stay_for_ever(app: App) -> None:
    async with serving(app, limits={"linger_s": 0.05}) as server, raw_client(server.port) as client:
        await client.send(b"nonsense\r\n\r\n")
        assert (await client.answer()).status == 400
        await wait_until(lambda: server.connections == 0, description="the connection is ended")


async def test_bodies_of_all_requests_are_bounded_together(app: App) -> None:
    settings = ApiSettings(max_held_bytes=1_000_000)
    async with serving(app, settings) as server, raw_client(server.port) as first, raw_client(server.port) as second:
        await first.send(post("/wait", 900_000), b"x" * 900_000)
        await wait_until(lambda: server.held_bytes == 900_000, description="the body is held")
        await second.send(post("/size", 200_000))
        answer = await second.answer()
        assert (answer.status, answer.code) == (429, "api.bodies_full")
        assert answer.headers["retry-after"] == "1"
        async with raw_client(server.port) as third:
            await third.send(GET.replace(b"/size", b"/early"))
            assert (await third.answer()).status == 200
        app.may_end.set()
        assert (await first.answer()).json == 900_000
        await wait_until(lambda: server.held_bytes == 0, description="the body is given back")
        async with raw_client(server.port) as fourth:
            await fourth.send(post("/size", 200_000), b"x" * 200_000)
            assert (await fourth.answer()).json == 200_000


async def test_chunked_bodies_count_as_they_arrive(app: App) -> None:
    settings = ApiSettings(max_held_bytes=1_000_000)
    async with serving(app, settings) as server, raw_client(server.port) as first, raw_client(server.port) as second:
        await first.send(post("/wait", 900_000), b"x" * 900_000)
        await wait_until(lambda: server.held_bytes == 900_000, description="the body is held")
        await second.send(CHUNKED, b"30d40\r\n" + b"x" * 200_000)
        assert (await second.answer()).code == "api.bodies_full"
        await wait_until(lambda: server.held_bytes == 900_000, description="the second body is given back")


async def test_bytes_of_a_client_that_leaves_are_given_back(app: App) -> None:
    async with serving(app) as server:
        async with raw_client(server.port) as client:
            await client.send(post("/wait", 900_000), b"x" * 800_000)
            await wait_until(lambda: server.held_bytes == 800_000, description="the body is held")
        await wait_until(lambda: server.held_bytes == 0, description="the body is given back")
        assert app.cancelled == 1
