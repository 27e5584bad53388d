"""Handlers end with their clients, and clients make room for each other. All with real sockets."""

import asyncio

import pytest

from service.settings.api import ApiSettings
from testing.badly_treated_api import GET, MIB, App, post, serving
from testing.raw_client import raw_client
from testing.waiting import wait_until


@pytest.fixture
async def app() -> App:
    return App()


async def test_a_handler_ends_when_its_client_leaves(app: App) -> None:
    async with serving(app) as server:
        async with raw_client(server.port) as client:
            await client.send(post("/wait", 5), b"hello")
            await wait_until(lambda: app.begun == 1, description="the handler begins")
        await wait_until(lambda: app.cancelled == 1, description="the handler is cancelled")


async def test_a_handler_that_has_not_read_the_body_ends_when_its_client_leaves(app: App) -> None:
    async with serving(app) as server:
        async with raw_client(server.port) as client:
            await client.send(post("/unread", 10 * MIB), b"x" * 100_000)
            await wait_until(lambda: app.begun == 1, description="the handler begins")
        await wait_until(lambda: app.cancelled == 1, description="the handler is cancelled")


async def test_a_request_is_cancelled_when_its_client_sent_another_one_and_left(app: App) -> None:
    async with serving(app) as server:
        async with raw_client(server.port) as client:
            await client.send(post("/wait", 0) + GET * 2000)
            await wait_until(lambda: app.begun == 1, description="the handler begins")
        await wait_until(lambda: app.cancelled == 1, description="the handler is cancelled")


async def test_a_body_is_read_to_its_end_after_an_early_answer(app: App) -> None:
    async with serving(app) as server, raw_client(server.port) as client:
        await client.send(post("/early", MIB))
        assert (await client.answer()).json == "early"
        await client.send(b"x" * MIB, GET)
        assert (await client.answer()).json == 0


async def test_a_handler_that_fails_before_its_answer_is_an_error_without_details(app: App) -> None:
    async def fails(_scope: object, _receive: object, _send: object) -> None:
        raise ValueError("a secret")

    app.api = fails  # type: ignore[assignment] # any ASGI application
    async with serving(app) as server, raw_client(server.port) as client:
        await client.send(GET)
        answer = await client.answer()
        assert (answer.status, answer.code) == (500, "api.not_answered")
        assert b"secret" not in answer.body


async def test_an_answer_that_fails_halfway_ends_the_connection(app: App) -> None:
    async with serving(app) as server, raw_client(server.port) as client:
        await client.send(GET.replace(b"/size", b"/fails-halfway"))
        assert (await client.answer()).status == 200
        assert await client.rest() == b"1\r\nx\r\n"


async def test_a_new_client_takes_the_place_of_the_one_that_is_idle_for_longest(app: App) -> None:
    settings = ApiSettings(max_connections=2)
    async with (
        serving(app, settings) as server,
        raw_client(server.port) as busy,
        raw_client(server.port) as first,
    ):
        await busy.send(post("/wait", 0))
        await first.send(b"GET /half")
        await wait_until(lambda: app.begun == 1, description="one has a request in hand")
        async with raw_client(server.port) as second:
            await second.send(GET)
            assert (await second.answer()).status == 200
            assert await first.is_closed()
        app.may_end.set()
        assert (await busy.answer()).status == 200


async def test_a_client_waits_while_every_connection_has_a_request_in_hand(app: App) -> None:
    settings = ApiSettings(max_connections=1)
    async with serving(app, settings) as server, raw_client(server.port) as busy:
        await busy.send(post("/wait", 0))
        await wait_until(lambda: app.begun == 1, description="it has a request in hand")
        async with raw_client(server.port) as waiting:
            await waiting.send(GET)
            asked = asyncio.create_task(waiting.answer())
            await asyncio.sleep(0.05)  # it would be answered by now
            assert not asked.done()
            app.may_end.set()
            assert (await busy.answer()).status == 200
            assert (await asked).status == 200
