"""The processes that the demo starts, and their end."""

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from service.settings.catalogue import ENVIRONMENT_PREFIX

# The demo's drain time (see its settings) and some more.
SERVICE_GRACE_S = 15.0


@asynccontextmanager
async def service_process(
    config: Path, log: Path, *, command: Literal["serve", "api"] = "serve"
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the real service as a user would, with a settings file; stopped by SIGTERM at the end."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", command, "--config", str(config)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # The demo shows what its own settings do, not what the shell has for another service.
            env={name: value for name, value in os.environ.items() if not name.upper().startswith(ENVIRONMENT_PREFIX)},
            # Ctrl-C is ours to handle: one signal only, so that the service drains.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        await stop_process(process, grace_s=SERVICE_GRACE_S)


def free_port() -> int:
    """Return a port of this machine that is free at present."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def is_listening(port: int, process: asyncio.subprocess.Process, *, timeout_s: float) -> bool:
    """Wait until a process accepts connections; return False if it ends before, or takes too long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while process.returncode is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    # Not every process announces something that could be waited for.
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    return True
    return False


async def stop_process(process: asyncio.subprocess.Process, *, grace_s: float) -> None:
    """Send a process SIGTERM, and kill it if it does not end."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(grace_s):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


class DemoFailedError(Exception):
    """The demo cannot go on; the text says why and what to do."""


# Of /proc/PID/stat, counted behind the command's name, which may hold blanks.
_START_FIELD = 19


def process_age_s() -> float:
    """Return seconds since this process was started; 0 where the system does not report it."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        started_s = int(fields[_START_FIELD]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started_s)
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0
