"""Requests that wait for a server, in the moments when several things happen at once."""

import asyncio

import pytest

from service.core.availability import EngineAvailability
from service.inference.errors import EngineFailedError
from service.inference.openai.client import OpenAIClient
from service.inference.openai.dispatch import Dispatcher
from service.inference.openai.fleet import Fleet, FleetLimits, Server
from service.inference.openai.turns import Request
from testing.openai_server import model_server
from testing.waiting import wait_until
from tests.integration.engine_remote.remote import settings


async def test_waiting_for_a_place_takes_nothing_of_a_requests_time() -> None:
    """A fleet that comes and goes, or is too small, must not use up attempts for which no server was tried."""
    availability, limit_s = EngineAvailability(), 0.2
    loop = asyncio.get_running_loop()
    async with model_server() as server:
        client = OpenAIClient(settings(server))
        await client.open()
        fleet = Fleet([Server(server.url)], FleetLimits(1, 3, return_after_s=1.0, max_return_after_s=1.0))
        dispatcher = Dispatcher(fleet, client, availability)
        occupied = fleet.take("another image")
        assert occupied is not None

        async def ask() -> object:
            async with asyncio.timeout(limit_s) as timeout:
                with availability.clock(timeout, limit_s) as clock:
                    return await dispatcher.post(Request("/tokenize", b'{"prompt": ""}', "image", clock=clock), dict)

        asked, begun_s = asyncio.create_task(ask()), loop.time()
        await wait_until(lambda: asked.done() or loop.time() > begun_s + 2 * limit_s, description="its time is over")
        fleet.release(occupied)
        dispatcher.readmit(occupied)
        assert isinstance(await asyncio.wait_for(asked, 10), dict)
        await client.close()


async def test_a_request_given_up_in_the_moment_of_a_return_leaves_its_place_to_the_next() -> None:
    async with model_server() as server:
        client = OpenAIClient(settings(server))
        await client.open()
        fleet = Fleet([Server(server.url)], FleetLimits(8, 3, return_after_s=1.0, max_return_after_s=1.0))
        dispatcher = Dispatcher(fleet, client, EngineAvailability())
        dispatcher.eject(fleet.servers[0], EngineFailedError(detail="a test wants it out"))

        def request(name: str) -> "asyncio.Task[object]":
            return asyncio.create_task(dispatcher.post(Request("/v1/models", b"{}", name), dict), name=name)

        given_up, woken_too_late, next_one = request("given up"), request("woken too late"), request("next")
        await asyncio.sleep(0)
        given_up.cancel()
        dispatcher.readmit(fleet.servers[0])
        woken_too_late.cancel()

        assert isinstance(await asyncio.wait_for(next_one, 10), dict)
        for task in (given_up, woken_too_late):
            with pytest.raises(asyncio.CancelledError):
                await task
        await client.close()
