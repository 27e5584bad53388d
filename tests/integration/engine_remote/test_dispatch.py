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
from tests.integration.engine_remote.remote import settings


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
