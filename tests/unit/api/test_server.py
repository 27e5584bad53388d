"""The server over real sockets: it listens, answers, and drains."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
from fastapi import FastAPI, Request
from structlog.testing import capture_logs

from service.api.connections.connection_errors import RequestRefusedError
from service.api.connections.listener import AddressUnusableError, PortTakenError
from service.api.connections.server import serve_http
from service.api.request_log import RequestLog
from service.settings.api import ApiSettings
from service.telemetry.request_trace import RequestTracer
from testing.badly_treated_api import CHUNKED, App
from testing.raw_client import raw_client
from testing.waiting import wait_until

DELAYED_ACKNOWLEDGEMENT_S = 0.04
"""Of Linux, at least; every answer on a kept connection takes so long when its second part waits for it."""


class SlowHandler:
    """A handler that waits until the test lets it go on."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.was_cancelled = False

    async def run(self) -> str:
        self.began.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return "done"


def application(work: SlowHandler) -> FastAPI:
    app = FastAPI()
    app.get("/work")(work.run)

    @app.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    return app


@pytest.fixture
async def work() -> SlowHandler:
    return SlowHandler()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_it_answers_once_it_is_open(work: SlowHandler, client: aiohttp.ClientSession) -> None:
    async with (
        serve_http(application(work), ApiSettings()) as server,
        client.post(f"http://127.0.0.1:{server.port}/size", data=b"x" * 300_000) as answer,
    ):
        assert await answer.json() == 300_000
        assert "Date" in answer.headers
        assert "Server" not in answer.headers


async def test_an_answer_never_waits_for_the_acknowledgement_of_its_head(
    work: SlowHandler, client: aiohttp.ClientSession
) -> None:
    async with serve_http(application(work), ApiSettings()) as server:
        times_s = []
        for _ in range(20):
            began_s = time.perf_counter()
            async with client.post(f"http://127.0.0.1:{server.port}/size") as answer:
                await answer.read()
            times_s.append(time.perf_counter() - began_s)

    assert min(times_s[1:]) < DELAYED_ACKNOWLEDGEMENT_S


async def test_a_host_name_listens_on_all_of_its_addresses(work: SlowHandler, client: aiohttp.ClientSession) -> None:
    async with (
        serve_http(application(work), ApiSettings(host="localhost")) as server,
        client.post(f"http://localhost:{server.port}/size") as answer,
    ):
        assert answer.status == 200


async def test_a_port_that_is_taken_is_a_fatal_error_that_names_the_setting(work: SlowHandler) -> None:
    async with serve_http(application(work), ApiSettings()) as server:
        with pytest.raises(PortTakenError, match=r"api\.port"):
            async with serve_http(application(work), ApiSettings(port=server.port)):
                pytest.fail("it listens")


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_an_address_that_is_not_here_is_a_fatal_error_that_names_the_setting(
    work: SlowHandler, host: str
) -> None:
    with pytest.raises(AddressUnusableError, match=r"api\.host"):
        async with serve_http(application(work), ApiSettings(host=host)):
            pytest.fail("it listens")


async def test_requests_in_hand_finish_while_it_drains(work: SlowHandler, client: aiohttp.ClientSession) -> None:
    async def ask(port: int) -> str:
        async with client.get(f"http://127.0.0.1:{port}/work") as answer:
            assert answer.headers["Connection"] == "close"
            return str(await answer.json())

    async with asyncio.TaskGroup() as tasks:
        async with serve_http(application(work), ApiSettings()) as server:
            asked = tasks.create_task(ask(server.port))
            await work.began.wait()
            asyncio.get_running_loop().call_later(0.05, work.may_end.set)
        assert await asked == "done"


async def test_requests_that_take_too_long_are_cut_off_when_it_drains(
    work: SlowHandler, client: aiohttp.ClientSession
) -> None:
    async with serve_http(application(work), ApiSettings(), drain_s=0.05) as server:
        asked = asyncio.create_task(client.get(f"http://127.0.0.1:{server.port}/work"))
        await work.began.wait()
    assert work.was_cancelled
    with pytest.raises(aiohttp.ClientConnectionError):
        await asked


async def test_idle_connections_do_not_hold_up_the_end(work: SlowHandler) -> None:
    async with serve_http(application(work), ApiSettings(), drain_s=60) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await wait_until(lambda: server.connections == 1, description="the connection is open")
    assert await reader.read() == b""
    writer.close()


async def test_refusals_are_reported_with_the_request_if_its_handler_has_begun(work: SlowHandler) -> None:
    refused: list[tuple[str, str | None]] = []

    def note(error: RequestRefusedError, scope: Mapping[str, Any] | None) -> None:
        refused.append((error.reason, scope["path"] if scope else None))

    app, settings = application(work), ApiSettings(max_body_bytes=1000)
    async with serve_http(app, settings, on_refused=note) as server:
        async with raw_client(server.port) as client:
            await client.send(b"nonsense\r\n\r\n")
            assert (await client.answer()).code == "api.malformed"
        async with raw_client(server.port) as client:
            await client.send(CHUNKED, b"3e9\r\n" + b"x" * 1001)
            assert (await client.answer()).code == "api.body_too_large"
    assert refused == [("api.malformed", None), ("api.body_too_large", "/size")]


async def test_the_access_log_has_the_refusal_of_a_request_that_is_cut_off() -> None:
    treated = App()
    app = RequestLog(treated.api, RequestTracer(None))
    with capture_logs() as lines:
        async with serve_http(app, ApiSettings(max_body_bytes=1000)) as server, raw_client(server.port) as client:
            await client.send(CHUNKED, b"200\r\n" + b"x" * 512 + b"\r\n")
            await wait_until(lambda: treated.begun == 1, description="the handler begins")
            await client.send(b"200\r\n" + b"x" * 512 + b"\r\n")
            assert (await client.answer()).status == 413
            await wait_until(lambda: any(line["event"] == "api.request" for line in lines), description="it is logged")
    (line,) = (line for line in lines if line["event"] == "api.request")
    assert (line["status"], line["reason"]) == (413, "api.body_too_large")
