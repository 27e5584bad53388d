"""HTTP servers in processes of their own, for as long as they are compared."""

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from urllib.error import URLError

START_S = 600.0
"""An engine takes a minute to start on an idle machine."""
ASK_AGAIN_S = 0.2
ANSWER_S = 10.0
_END_S = 20.0
_ROOT = Path(__file__).parents[1]


@contextmanager
def served(
    command: Sequence[str],
    health_url: str,
    log: Path,
    *,
    folder: Path = _ROOT,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[None]:
    """Run a server until the block ends, with all processes that it starts; yields once its health URL answers."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - servers of this package
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_answering(process, health_url, log)
        yield
    finally:
        _end(process)


def _wait_until_answering(process: subprocess.Popen[bytes], health_url: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while not _answers(health_url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{health_url} does not answer: {log.read_text(errors='replace')[-4000:]}")
        time.sleep(ASK_AGAIN_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_S):  # noqa: S310 - an address of this machine
            return True
    except (URLError, OSError):
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end, then end what is left of its session."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
