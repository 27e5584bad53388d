"""Ambiguous requests, pipelining and other protocols end in good order. All with real sockets."""

import asyncio

import pytest

from service.settings.api import ApiSettings
from testing.badly_treated_api import CHUNKED, GET, MIB, App, post, serving
from testing.raw_client import raw_client
from testing.waiting import wait_until


@pytest.fixture
async def app() -> App:
    return App()


@pytest.mark.parametrize(
    "request_",
    [
        post("/size", 5)[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        CHUNKED[:-2] + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
        post("/size", 5)[:-2] + b"Content-Length: 6\r\n\r\nhello",
        CHUNKED.replace(b"chunked", b"gzip, chunked") + b"0\r\n\r\n",
        CHUNKED.replace(b"chunked", b"identity") + b"0\r\n\r\n",
        post("/size", 5).replace(b"th: 5", b"th: +5"),
        post("/size", 5).replace(b"th: 5", b"th: 99999999999999999999999999"),
        b"GET /size HTTP/1.1\r\nX : y\r\n\r\n",
        b"GET /size HTTP/1.1\nX: y\n\n",
        b"GET /size HTTP/9.9\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\0" * 100,
        "GET /\u00e9 HTTP/1.1\r\n\r\n".encode(),
    ],
)
async def test_what_is_no_request_or_is_ambiguous_is_refused(app: App, request_: bytes) -> None:
    async with serving(app) as server, raw_client(server.port) as client:
        await client.send(request_)
        answer = await client.answer()
        assert (answer.status, answer.code) == (400, "api.malformed")
        assert await client.is_closed()
    assert app.finished == 0


async def test_a_length_may_have_any_number_of_zeros(app: App) -> None:
    async with serving(app) as server, raw_client(server.port) as client:
        await client.send(post("/size", 5).replace(b"th: 5", b"th: " + b"0" * 5000 + b"5"), b"hello")
        assert (await client.answer()).json == 5


@pytest.mark.parametrize("piece", [b"1\r\nx\r\n", b"5;" + b"a=b;" * 20 + b"\r\nhello\r\n"], ids=["bytes", "extensions"])
async def test_chunks_that_are_mostly_framing_are_refused(app: App, piece: bytes) -> None:
    async with serving(app) as server, raw_client(server.port) as client:
        await client.send(CHUNKED)
        dripping = asyncio.create_task(client.drip(piece * 500, every_s=0))
        assert (await client.answer()).code == "api.malformed"
        await client.close()
        await dripping


async def test_a_batch_may_be_sent_line_by_line(app: App) -> None:
    line = b'{"url": "https://example.com/1.jpg"}\n'
    async with serving(app) as server, raw_client(server.port) as client:
        await client.send(CHUNKED, *[b"%x\r\n%b\r\n" % (len(line), line)] * 5000, b"0\r\n\r\n")
        assert (await client.answer()).json == 5000 * len(line)


async def test_trailers_do_not_join_the_headers(app: App) -> None:
    async with serving(app) as server, raw_client(server.port) as client:
        await client.send(CHUNKED, b"5\r\nhello\r\n", b"0\r\nAuthorization: Bearer x\r\n\r\n")
        assert (await client.answer()).json == 5
    assert "authorization" not in app.heads[0]


async def test_routes_that_read_as_they_answer_take_bodies_of_any_size(app: App) -> None:
    limits = {"unbounded_paths": frozenset({"/size"}), "body_timeout_s": 0.01}
    settings = ApiSettings(max_body_bytes=1000, max_held_bytes=1000)
    async with serving(app, settings, limits=limits) as server, raw_client(server.port) as client:
        await client.send(post("/size?x=1", MIB), *[b"x" * 1024] * 1024)
        assert (await client.answer()).json == MIB


async def test_pipelined_requests_are_answered_one_after_the_other(app: App) -> None:
    paths = ["/echo?1", "/echo?2", "/echo?3"]
    async with serving(app) as server, raw_client(server.port) as client:
        await client.send(b"".join(GET.replace(b"/size", path.encode()) for path in paths))
        assert [(await client.answer()).json for _ in paths] == paths


async def test_a_pipelined_request_waits_until_the_previous_one_is_answered(app: App) -> None:
    async with serving(app) as server, raw_client(server.port) as client:
        await client.send((post("/wait", 5) + b"hello") * 2)
        await wait_until(lambda: app.begun == 1, description="the first one begins")
        app.may_end.set()
        assert [(await client.answer()).json for _ in range(2)] == [5, 5]
        assert app.begun == 2


async def test_pipelined_requests_without_end_are_not_read_ahead(app: App) -> None:
    async with serving(app) as server, raw_client(server.port) as client:
        await client.send(post("/wait", 0))
        sending = asyncio.create_task(client.drip(GET * 1000, every_s=0))
        await wait_until(lambda: app.begun == 1, description="the first one begins")
        await wait_until(lambda: server.held_bytes > 0, description="it reads ahead")
        assert server.held_bytes < MIB
        sending.cancel()


async def test_the_connection_ends_after_a_chunked_body_that_another_request_follows_at_once(app: App) -> None:
    async with serving(app) as server, raw_client(server.port) as client:
        await client.send(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + GET)
        assert (await client.answer()).json == 5
        assert await client.is_closed()


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
async def test_offers_of_other_protocols_are_ignored(app: App, protocol: bytes) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: %b\r\nHTTP2-Settings: AAMAAABk\r\n\r\n" % protocol
    async with serving(app) as server, raw_client(server.port) as client:
        await client.send(post("/size", 5)[:-2] + upgrade + b"hello")
        assert (await client.answer()).json == 5
        await client.send(GET[:-2] + upgrade)
        assert (await client.answer()).json == 0


@pytest.mark.parametrize("request_", [b"GET /size HTTP/1.0\r\n\r\n", b"GET /size\r\n\r\n"])
async def test_older_clients_are_answered_and_their_connection_ends(app: App, request_: bytes) -> None:
    async with serving(app) as server, raw_client(server.port) as client:
        await client.send(request_)
        assert (await client.answer()).json == 0
        assert await client.is_closed()


async def test_a_client_that_waits_for_a_sign_to_send_its_body_gets_it(app: App) -> None:
    async with serving(app) as server, raw_client(server.port) as client:
        await client.send(post("/size", 5)[:-2] + b"Expect: 100-continue\r\n\r\n")
        assert (await client.answer()).status == 100
        await client.send(b"hello")
        assert (await client.answer()).json == 5
