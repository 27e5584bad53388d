"""Slow clients are given up, and only for time that they took themselves. All with real sockets."""

import asyncio

import pytest

from testing.badly_treated_api import GET, MIB, TICK_S, App, post, serving
from testing.raw_client import raw_client
from testing.waiting import wait_until


@pytest.fixture
async def app() -> App:
    return App()


async def test_half_of_a_head_is_given_up(app: App) -> None:
    async with serving(app, limits={"head_timeout_s": 0.05}) as server, raw_client(server.port) as client:
        await client.send(b"GET /size HTT")
        answer = await client.answer()
        assert (answer.status, answer.code) == (408, "api.too_slow")
        assert await client.is_closed()


async def test_headers_that_drip_do_not_prolong_the_time_for_the_head(app: App) -> None:
    async with serving(app, limits={"head_timeout_s": 0.1}) as server, raw_client(server.port) as client:
        await client.send(b"GET /size HTTP/1.1\r\n")
        dripping = asyncio.create_task(client.drip(b"X: y\r\n", every_s=0.01))
        assert (await client.answer()).status == 408
        await client.close()
        await dripping


async def test_a_second_request_gets_its_own_time_for_the_head(app: App) -> None:
    async with serving(app, limits={"head_timeout_s": 0.1}) as server, raw_client(server.port) as client:
        for _ in range(3):
            await client.send(GET[:10])
            await asyncio.sleep(0.05)  # a part of the time
            await client.send(GET[10:])
            assert (await client.answer()).status == 200


@pytest.mark.parametrize("path", ["/size", "/unread"])
async def test_a_body_that_stops_is_given_up_with_its_handler(app: App, path: str) -> None:
    async with serving(app, limits={"body_window_s": 0.05}) as server, raw_client(server.port) as client:
        await client.send(post(path, 1000), b"x" * 100)
        assert (await client.answer()).code == "api.too_slow"
        await wait_until(lambda: app.cancelled == 1, description="the handler is cancelled")


async def test_a_body_that_drips_is_given_up(app: App) -> None:
    limits = {"body_window_s": 0.1, "min_bytes_per_s": 10_000}
    async with serving(app, limits=limits) as server, raw_client(server.port) as client:
        await client.send(post("/size", 1_000_000))
        dripping = asyncio.create_task(client.drip(b"x", every_s=0.01))
        assert (await client.answer()).code == "api.too_slow"
        await client.close()
        await dripping


async def test_a_body_at_the_minimum_pace_still_has_to_end_in_time(app: App) -> None:
    limits = {"body_timeout_s": 0.1, "min_bytes_per_s": 10, "body_window_s": 0.02}
    async with serving(app, limits=limits) as server, raw_client(server.port) as client:
        await client.send(post("/size", 1_000_000))
        dripping = asyncio.create_task(client.drip(b"x" * 10, every_s=0.01))
        assert (await client.answer()).code == "api.too_slow"
        await client.close()
        await dripping


async def test_a_body_that_the_handler_leaves_unread_is_not_the_clients_fault(app: App) -> None:
    limits = {"body_window_s": 0.05, "body_timeout_s": 0.1}
    async with serving(app, limits=limits) as server, raw_client(server.port) as client:
        await client.send(post("/unread", 10 * MIB), b"x" * MIB)
        await asyncio.sleep(0.3)  # longer than both limits
        app.may_end.set()
        assert (await client.answer()).status == 200


async def test_connections_left_idle_are_closed(app: App) -> None:
    async with serving(app, limits={"idle_timeout_s": 0.05}) as server:
        async with raw_client(server.port) as client:
            assert await client.is_closed()
        async with raw_client(server.port) as client:
            await client.send(GET)
            assert (await client.answer()).status == 200
            assert await client.is_closed()


async def test_a_request_in_hand_is_not_idle(app: App) -> None:
    async with serving(app, limits={"idle_timeout_s": 0.02}) as server, raw_client(server.port) as client:
        await client.send(post("/wait", 0))
        await asyncio.sleep(0.1)  # longer than the limit
        app.may_end.set()
        assert (await client.answer()).status == 200


@pytest.mark.parametrize("path", ["/large", "/stream"])
async def test_a_client_that_does_not_read_the_answer_is_given_up(app: App, path: str) -> None:
    async with serving(app, limits={"answer_window_s": 0.1}) as server, raw_client(server.port) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined] # uvloop's transport has it
        await client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        await wait_until(lambda: app.begun == 1, description="the request arrives")
        await wait_until(lambda: server.connections == 0, description="the connection is ended")


BATCHES = {"unbounded_paths": frozenset({"/wait", "/early"}), "body_timeout_s": 0.05, "body_window_s": 0.02}


async def test_the_rest_of_a_batch_that_is_answered_has_to_come_in_time(app: App) -> None:
    async with serving(app, limits=BATCHES) as server, raw_client(server.port) as client:
        await client.send(post("/early", 10))
        assert (await client.answer()).json == "early"
        assert await client.is_closed()


async def test_a_batch_may_pause_until_it_is_answered(app: App) -> None:
    async with serving(app, limits=BATCHES) as server, raw_client(server.port) as client:
        await client.send(post("/wait", 10))
        await wait_until(lambda: app.begun == 1, description="the handler begins")
        await asyncio.sleep(10 * TICK_S)
        app.may_end.set()
        await client.send(b"x" * 10)
        assert (await client.answer()).json == 10
