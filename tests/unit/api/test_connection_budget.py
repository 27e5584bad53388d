"""What clients send is charged by what it costs, whatever it is, and connections wait when the budget is spent."""

import asyncio
from typing import Any

import pytest
from uvicorn.server import ServerState

from service.api.connections.connection import ClientConnection
from service.api.connections.connection_limits import HeldBytes, limits_of
from service.api.connections.connection_table import ConnectionTable
from service.api.connections.ending_connection import Shared
from service.api.connections.server import uvicorn_config
from service.http.parsing_budget import ParsingBudget
from service.settings.api import ApiSettings
from testing.badly_treated_api import CHUNKED, GET, post
from testing.waiting import wait_until


class CountingBudget(ParsingBudget):
    """Never waits, and keeps what was charged."""

    charged_s = 0.0

    def is_open(self) -> bool:
        return True

    def charge(self, seconds: float) -> None:
        self.charged_s += seconds


class Wire(asyncio.Transport):
    """A transport that takes note."""

    def __init__(self) -> None:
        super().__init__()
        self.is_reading_now = True
        self.is_gone = False
        self.written = b""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self.is_gone

    def pause_reading(self) -> None:
        self.is_reading_now = False

    def resume_reading(self) -> None:
        self.is_reading_now = True

    def can_write_eof(self) -> bool:
        return False

    def write(self, data: Any) -> None:
        self.written += data

    def abort(self) -> None:
        self.is_gone = True

    close = abort


async def answers_at_once(_scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def connected(budget: ParsingBudget) -> tuple[ClientConnection, Wire]:
    settings = ApiSettings()
    shared = Shared(
        limits=limits_of(settings),
        table=ConnectionTable(10),
        held=HeldBytes(settings.max_held_bytes),
        budget=budget,
        clock=lambda: 0.0,
        on_refused=lambda *_: None,
    )
    config = uvicorn_config(answers_at_once)
    connection = ClientConnection(shared, config, ServerState(), asyncio.get_running_loop())
    wire = Wire()
    connection.connection_made(wire)
    return connection, wire


async def settled(connection: ClientConnection) -> None:
    """Let the handler take what arrived."""
    await wait_until(lambda: not connection.flow.read_paused, description="the handler reads", every_s=0)


@pytest.mark.parametrize(
    ("request_", "at_least_s", "at_most_s"),
    [
        (GET, 100e-6, 200e-6),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 90 + b"\r\n", 150e-6, 300e-6),
        (post("/size", 1_000_000) + b"x" * 1_000_000, 1e-3, 2e-3),
        (CHUNKED + (b"2000\r\n" + b"x" * 8192 + b"\r\n") * 100, 0.8e-3, 2.5e-3),
        (CHUNKED + b"1\r\nx\r\n" * 1000, 0.5e-3, 1.5e-3),
        # Refused, which costs no less.
        (CHUNKED + b"1\r\nx\r\n" * 10_000, 0.9e-3, 3e-3),
        (CHUNKED + b"0" * 8_000 + b"x", 0.9e-3, 2e-3),
        (b"\r\n\r\n" * 1000, 10e-3, 30e-3),
    ],
    ids=["request", "headers", "body", "chunks", "tiny chunks", "refused chunks", "no chunks", "empty lines"],
)
async def test_a_request_is_charged_what_its_kind_costs(request_: bytes, at_least_s: float, at_most_s: float) -> None:
    budget = CountingBudget()
    connection, _ = connected(budget)
    connection.data_received(request_)
    await settled(connection)
    assert at_least_s < budget.charged_s < at_most_s
    connection.connection_lost(None)


async def test_what_a_refused_client_sends_is_charged_too() -> None:
    budget = CountingBudget()
    connection, _ = connected(budget)
    connection.data_received(b"nonsense\r\n\r\n")
    refused_s = budget.charged_s
    connection.data_received(b"x" * 1_000_000)
    assert budget.charged_s - refused_s == pytest.approx(1e-3, rel=0.01)
    connection.connection_lost(None)


async def test_a_connection_waits_with_its_socket_unread_until_there_is_budget() -> None:
    now_s = 0.0
    budget = ParsingBudget(clock=lambda: now_s)
    budget.charge(0.02)
    connection, wire = connected(budget)
    connection.data_received(GET)
    assert not wire.is_reading_now
    assert wire.written == b""
    now_s = 10.0
    await wait_until(lambda: wire.written != b"", description="it is answered")
    assert wire.is_reading_now
    assert wire.written.startswith(b"HTTP/1.1 204")
    connection.connection_lost(None)


async def test_a_refused_client_waits_as_well() -> None:
    budget = ParsingBudget(clock=lambda: 0.0)
    connection, wire = connected(budget)
    connection.data_received(b"nonsense\r\n\r\n")
    budget.charge(1.0)
    connection.data_received(b"x" * 1000)
    assert not wire.is_reading_now
    connection.advance()
    assert wire.is_reading_now
    connection.connection_lost(None)


async def test_heads_that_come_byte_by_byte_wait_as_well() -> None:
    budget = ParsingBudget(clock=lambda: 0.0)
    connection, wire = connected(budget)
    reads = 0
    while wire.is_reading_now:
        connection.data_received(b"G")
        reads += 1
    assert 500 < reads < 2000
    connection.connection_lost(None)
