"""The watch over servers outlives what it did not expect."""

from typing import cast

from service.core.availability import EngineAvailability
from service.core.errors import ModstreamError
from service.inference.openai.client import OpenAIClient
from service.inference.openai.dispatch import Dispatcher
from service.inference.openai.fleet import Fleet, FleetLimits, Server
from service.inference.openai.server_watch import ServerWatch
from testing.waiting import wait_until


class SilentClient:
    """Has nothing to say about any server's health."""

    async def exchange(self, server: Server, path: str, *, timeout_s: float) -> object:
        raise AssertionError(f"{server.name}{path} within {timeout_s} s")


async def test_a_check_that_meets_a_defect_ejects_the_server_and_is_repeated() -> None:
    server = Server("http://gpu-1:8000")
    limits = FleetLimits(max_in_flight=8, eject_after=1, return_after_s=0.001, max_return_after_s=0.001)
    fleet = Fleet([server], limits)
    client = cast("OpenAIClient", SilentClient())
    dispatcher = Dispatcher(fleet, client, EngineAvailability())

    async def admission(_server: Server) -> ModstreamError | None:
        raise AssertionError("the client fails before")

    watch = ServerWatch(fleet, dispatcher, client, admission=admission, interval_s=0.001)
    watch.open()
    try:
        await wait_until(lambda: server.ejections > 2, description="it is checked again")
        assert "cannot be checked (AssertionError)" in str(server.fault)
    finally:
        dispatcher.close()
        await watch.close()
