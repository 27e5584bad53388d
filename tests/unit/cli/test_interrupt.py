"""Ctrl-C ends every command with exit code 130 and without a traceback."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

INTERRUPTED = 130

INTERRUPTED_IMPORT = """
import sys


class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise KeyboardInterrupt


sys.meta_path.insert(0, Interrupts())
sys.argv = ["modstream", "--help"]
from service.cli.main import run

run()
"""


class SilentServer:
    """Takes connections and answers nothing, so that a command waits for it."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()
        self.address = ""

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected.set()
        await reader.read()  # until the command is gone
        writer.close()


@asynccontextmanager
async def silent_server() -> AsyncIterator[SilentServer]:
    silent = SilentServer()
    server = await asyncio.start_server(silent.take, "127.0.0.1", 0)
    silent.address = "{}:{}".format(*server.sockets[0].getsockname())
    try:
        yield silent
    finally:
        server.close()


async def interrupted(*arguments: str, server: SilentServer) -> tuple[int | None, str]:
    """Interrupt a command, and every process that it started, as a terminal does; return its exit code and errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", *arguments),
        env=os.environ | {"MODSTREAM_KAFKA__BOOTSTRAP_SERVERS": server.address, "MODSTREAM_MONITORING__PORT": "0"},
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
        # Tests that run in the background of a shell, and their children, ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    async with asyncio.timeout(30):
        await server.connected.wait()
        os.killpg(process.pid, signal.SIGINT)
        _, errors = await process.communicate()
    return process.returncode, errors.decode()


@pytest.mark.parametrize(
    "arguments",
    [
        ("watch",),
        ("send", "http://example.com/1.jpg"),
        ("topics", "create"),
        ("topics", "check"),
        ("dead-letters", "list"),
        ("dead-letters", "redrive", "--execute"),
        ("dead-letters", "skip", "images.uploaded/0/1"),
    ],
    ids=" ".join,
)
async def test_a_command_that_waits_for_brokers_is_interrupted(arguments: tuple[str, ...]) -> None:
    async with silent_server() as server:
        code, errors = await interrupted(*arguments, server=server)
    assert "Traceback" not in errors
    assert code == INTERRUPTED


@pytest.mark.parametrize("options", [(), ("--once",), ("--json",)], ids=" ".join)
async def test_the_live_view_is_interrupted(options: tuple[str, ...]) -> None:
    async with silent_server() as server:
        code, errors = await interrupted("top", "--url", server.address, *options, server=server)
    assert (code, errors) == (INTERRUPTED, "")


async def test_an_interrupted_import_shows_no_traceback(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", INTERRUPTED_IMPORT), cwd=tmp_path, stderr=PIPE
    )
    _, errors = await process.communicate()
    assert (process.returncode, errors) == (INTERRUPTED, b"")
