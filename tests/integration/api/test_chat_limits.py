"""How many chats there may be, for how long, and what happens to those of callers who leave."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from testing.http_api import RunningApi, running_api
from testing.openai_server import ModelServer, model_server
from testing.waiting import wait_until
from tests.integration.api.chatting import CHATS, about, data_url, picture, settings

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[ModelServer]:
    async with model_server() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(server: ModelServer) -> AsyncIterator[RunningApi]:
    async with running_api(settings(server)) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=api.url, headers=api.headers, timeout=30) as client:
        yield client


@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_who_leaves_frees_the_server(api: RunningApi, server: ModelServer, stream: bool) -> None:
    before = server.given_up
    server.hold.clear()
    try:
        async with httpx.AsyncClient(base_url=api.url, headers=api.headers) as client:
            asked = asyncio.create_task(client.post(CHATS, json=about(data_url(picture()), stream=stream)), name="ask")
            await wait_until(lambda: server.in_flight == 1, description="the server has the chat")
            asked.cancel()
            await asyncio.wait([asked])
        await wait_until(lambda: server.given_up > before, description="the server was left")
    finally:
        server.hold.set()


@pytest.mark.parametrize(("beside_stream", "in_engine"), [(True, 2), (False, 8)])
async def test_chats_take_their_share_beside_a_stream_and_without_one_the_whole_engine(
    server: ModelServer, beside_stream: bool, in_engine: int
) -> None:
    async with running_api(settings(server), beside_stream=beside_stream) as api:
        server.hold.clear()
        try:
            async with httpx.AsyncClient(base_url=api.url, headers=api.headers, timeout=30) as client:
                chat = about(data_url(picture()))
                asked = [asyncio.create_task(client.post(CHATS, json=chat), name="ask") for _ in range(12)]
                await wait_until(lambda: server.in_flight == in_engine, description="the engine has its chats")
                await asyncio.sleep(0.3)
                assert server.in_flight == in_engine
                server.hold.set()
                answers = await asyncio.gather(*asked)
        finally:
            server.hold.set()
    assert [answer.status_code for answer in answers] == [200] * 12


async def test_a_busy_fleet_answers_when_to_come_back(client: httpx.AsyncClient, server: ModelServer) -> None:
    server.status, server.headers, server.spares_checks = 429, {"Retry-After": "7"}, True
    try:
        answer = await client.post(CHATS, json=about(data_url(picture())))
    finally:
        server.status, server.headers, server.spares_checks = 200, {}, False
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert answer.json()["error"]["code"] == "engine.server_busy"


async def test_a_chat_that_takes_too_long_is_given_up(server: ModelServer) -> None:
    async with running_api(settings(server, timeout_s=0.3)) as api:
        server.hold.clear()
        try:
            async with httpx.AsyncClient(base_url=api.url, headers=api.headers) as client:
                for stream in (False, True):
                    answer = await client.post(CHATS, json=about(data_url(picture()), stream=stream))
                    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "chat.timeout")
        finally:
            server.hold.set()


async def test_too_many_waiting_chats_are_refused(server: ModelServer) -> None:
    async with running_api(settings(server, max_in_flight=1, max_waiting=1)) as api:
        server.hold.clear()
        try:
            async with httpx.AsyncClient(base_url=api.url, headers=api.headers, timeout=30) as client:
                chat = about(data_url(picture()))
                asked = [asyncio.create_task(client.post(CHATS, json=chat), name="ask") for _ in range(8)]
                await wait_until(lambda: sum(task.done() for task in asked) == 5, description="all others are refused")
                refused = [task.result() for task in asked if task.done()]
                server.hold.set()
                answers = await asyncio.gather(*asked)
        finally:
            server.hold.set()
    assert {(each.status_code, each.json()["error"]["code"]) for each in refused} == {(429, "chat.busy")}
    assert all(int(each.headers["retry-after"]) > 0 for each in refused)
    assert sorted(each.status_code for each in answers) == [200] * 3 + [429] * 5
