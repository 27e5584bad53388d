"""A connection that waits for its turn is not the server's fault, and no body ends early."""

import asyncio
import itertools
import ssl
from typing import Any

import aiohttp
import pytest

from service.http.bounded_connection import BoundedConnection
from service.http.parsing_budget import BURST_S, FRAMING_BYTE_S, ParsingBudget
from service.media.fetch.client import _tls

OK = b"HTTP/1.1 200 OK\r\n"


class CountingBudget(ParsingBudget):
    """Never waits, and keeps what was charged."""

    def __init__(self) -> None:
        super().__init__()
        self.charged_s = 0.0

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

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self.is_gone

    def pause_reading(self) -> None:
        self.is_reading_now = False

    def resume_reading(self) -> None:
        self.is_reading_now = True

    def abort(self) -> None:
        self.is_gone = True

    close = abort


def connected(budget: ParsingBudget, *, read_timeout_s: float = 10.0) -> tuple[BoundedConnection, Wire]:
    connection = BoundedConnection(asyncio.get_running_loop(), budget, min_bytes_per_s=0, window_s=5)
    wire = Wire()
    connection.connection_made(wire)
    connection.set_response_params(read_until_eof=True, auto_decompress=False, read_timeout=read_timeout_s)
    connection.start_timeout()
    return connection, wire


def spent() -> ParsingBudget:
    """Return a budget that is never filled again."""
    budget = ParsingBudget(clock=lambda: 0.0)
    budget.charge(1e9)
    return budget


@pytest.mark.parametrize(
    ("answer", "at_least_s", "at_most_s"),
    [
        (OK + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1_000_000, 0.9e-3, 1.1e-3),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1000, 3e-3, 5e-3),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n" + (b"2000\r\n" + b"x" * 8192 + b"\r\n") * 100, 0.8e-3, 2e-3),
        # The parser refuses them in the first piece; no other is parsed.
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 40_000, 4e-3, 7e-3),
        (b"HTTP/1.1 103 E\r\n\r\n" * 16, 20e-6, 60e-6),
        (OK + b"X: y\r\n" * 500 + b"\r\n", 200e-6, 400e-6),
    ],
    ids=["plain", "tiny chunks", "usual chunks", "trailers", "interim", "headers"],
)
async def test_an_answer_is_charged_what_its_kind_costs(answer: bytes, at_least_s: float, at_most_s: float) -> None:
    budget = CountingBudget()
    connection, _ = connected(budget)
    connection.data_received(answer)
    if connection._body is not None:
        while connection._ahead:
            await connection._body.readany()
    assert at_least_s < budget.charged_s < at_most_s


class BusyMachine(ParsingBudget):
    """Keeps what was charged, on a machine where other processes work for a second between any two steps."""

    def __init__(self) -> None:
        self.charged_s = 0.0
        super().__init__(clock=itertools.count().__next__)

    def charge(self, seconds: float) -> None:
        self.charged_s += seconds
        super().charge(seconds)


async def test_answers_that_arrive_together_on_every_connection_take_the_burst_in_one_turn() -> None:
    budget = BusyMachine()
    for _ in range(128):
        connection, _ = connected(budget)
        connection.data_received(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1000)
    a_piece_s = 8192 * FRAMING_BYTE_S
    assert budget.charged_s < BURST_S + a_piece_s


async def test_the_read_timeout_does_not_run_while_the_connection_waits_for_its_turn() -> None:
    connection, wire = connected(spent(), read_timeout_s=0.05)
    connection.data_received(OK + b"Content-Length: 5\r\n\r\nhello")
    assert not wire.is_reading_now
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connection.read(), timeout=0.3)
    assert connection.exception() is None


async def test_the_read_timeout_runs_while_the_server_is_silent() -> None:
    connection, _ = connected(ParsingBudget(), read_timeout_s=0.05)
    connection.data_received(OK)
    with pytest.raises(aiohttp.SocketTimeoutError):
        await asyncio.wait_for(connection.read(), timeout=10)


async def test_a_body_that_is_lost_while_it_waits_for_its_reader_does_not_count_as_whole() -> None:
    connection, _ = connected(ParsingBudget(clock=lambda: 0.0))
    connection.data_received(OK + b"\r\n")
    _, body = await connection.read()
    while not connection._is_full:
        connection.data_received(b"x" * 200_000)
    connection.data_received(b"the end")
    connection.connection_lost(None)
    with pytest.raises(aiohttp.ClientPayloadError):
        await body.read()


@pytest.mark.parametrize("length", ["5", "0" * 5000 + "5"])
async def test_a_length_may_have_any_number_of_zeros(length: str) -> None:
    connection, _ = connected(ParsingBudget())
    connection.data_received(OK + f"Content-Length: {length}\r\n\r\nhello".encode())
    _, body = await connection.read()
    assert await body.read() == b"hello"


async def test_a_body_that_ends_with_the_connection_is_whole() -> None:
    connection, _ = connected(ParsingBudget())
    connection.data_received(OK + b"\r\nhello")
    _, body = await connection.read()
    connection.connection_lost(None)
    assert await body.read() == b"hello"


def test_servers_cannot_renegotiate() -> None:
    assert _tls().options & ssl.OP_NO_RENEGOTIATION
