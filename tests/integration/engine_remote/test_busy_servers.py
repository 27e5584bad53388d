"""Servers that have too much to do: they are left alone for as long as they ask, and nothing fails for it."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from service.inference.openai.errors import ServerBusyError
from testing.openai_server import model_server
from testing.waiting import wait_until
from tests.integration.engine_remote.remote import LABELS, ask, read_many, started

WELL = dict

BUSY = pytest.mark.parametrize("code", [429, 503])


@BUSY
async def test_a_busy_server_is_waited_for_and_asked_little(code: int) -> None:
    async with model_server() as server, started(server, max_return_after_s=0.4) as (model, _):
        server.status = code
        waiting = asyncio.create_task(read_many(model, 100), name="read")
        await wait_until(lambda: not model.is_reachable(), description="it was asked again")
        began_s, asked = time.monotonic(), server.asked
        await asyncio.sleep(1.0)
        # Pauses of 0.05, 0.1 and 0.2 s come before those of 0.4 s.
        assert server.asked - asked <= (time.monotonic() - began_s) / 0.4 + 3
        assert not waiting.done()
        server.status = 200
        assert all(isinstance(answer, WELL) for answer in await asyncio.wait_for(waiting, 10))
        assert server.asked <= 100 + asked + 10


@BUSY
async def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(code: int) -> None:
    async with model_server() as server, started(server, max_return_after_s=10.0) as (model, _):
        server.status, server.headers = code, {"Retry-After": "1"}
        waiting = asyncio.create_task(read_many(model, 20), name="read")
        await wait_until(lambda: server.asked > 0, description="it is asked")
        began_s = time.monotonic()
        await asyncio.sleep(0.2)
        asked, server.status = server.asked, 200
        await wait_until(lambda: server.asked > asked, description="it is asked again", every_s=0.01)
        assert time.monotonic() - began_s > 0.9
        assert all(isinstance(answer, WELL) for answer in await asyncio.wait_for(waiting, 10))


@pytest.mark.parametrize("header", ["31536000", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_no_server_rests_longer_than_the_settings_allow(header: str) -> None:
    async with model_server() as server, started(server, max_return_after_s=0.3) as (model, _):
        server.status, server.headers = 429, {"Retry-After": header}
        waiting = asyncio.create_task(read_many(model, 5), name="read")
        await wait_until(lambda: server.asked > 0, description="it is asked")
        server.status = 200
        assert all(isinstance(answer, WELL) for answer in await asyncio.wait_for(waiting, 5))


async def test_what_is_asked_of_a_busy_server_goes_to_the_others() -> None:
    async with AsyncExitStack() as stack:
        busy, well = [await stack.enter_async_context(model_server()) for _ in range(2)]
        model, _ = await stack.enter_async_context(started(busy, well, max_return_after_s=10.0))
        busy.status, busy.headers = 503, {"Retry-After": "10"}
        answers = await asyncio.wait_for(read_many(model, 40), 5)
        assert all(isinstance(answer, WELL) for answer in answers)
        asked = busy.asked
        await read_many(model, 20)
        assert busy.asked == asked
        assert model.is_reachable()


async def test_a_server_that_rests_again_and_again_is_not_reachable() -> None:
    async with model_server() as server, started(server) as (model, _):
        server.status = 503
        waiting = asyncio.create_task(read_many(model, 5), name="read")
        await wait_until(lambda: not model.is_reachable(), description="it has rested twice")
        server.status = 200
        await waiting
        assert model.is_reachable()


async def test_a_request_that_alone_has_to_wait_fails_and_keeps_no_other_one_waiting() -> None:
    async with model_server(spares_checks=True) as server, started(server) as (model, _):
        words = {label: ord(label) for label in LABELS}
        server.busy_for = "the odd one"
        odd = asyncio.create_task(model.read(ask(caption="the odd one"), words), name="odd")
        for _ in range(5):
            assert all(isinstance(answer, WELL) for answer in await asyncio.wait_for(read_many(model, 10), 5))
        with pytest.raises(ServerBusyError):
            await asyncio.wait_for(odd, 10)
