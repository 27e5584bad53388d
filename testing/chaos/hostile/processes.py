"""The processes of a hostile hour: the servers of the model, which go and come, and the memory of the services."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from service.runtime.process_tree import descendants
from testing.chaos.fleet import ROOT

_MODULE = "testing.chaos.hostile.servers"


@contextmanager
def served(kind: str, port: int, log: Path) -> Iterator["ServerProcess"]:
    """Run one server until the block ends."""
    server = ServerProcess(kind, port, log)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class ServerProcess:
    """A server that can be killed and started again at its port."""

    def __init__(self, kind: str, port: int, log: Path) -> None:
        self._command = [sys.executable, "-m", _MODULE, kind, str(port)]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its port is open within a second or two."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)

    def kill(self) -> None:
        """End it at once, also while it is frozen."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it answer nothing, with its port open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen one go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


class MemoryWatch:
    """Knows the most memory that a service's main process, and all of its processes together, ever held."""

    def __init__(self) -> None:
        self.main_bytes = 0
        self.all_bytes = 0

    def look(self, pids: Sequence[int]) -> None:
        """Measure these services."""
        for pid in pids:
            main = _resident_bytes(pid)
            others = sum(_resident_bytes(process.pid) for process in descendants(pid))
            self.main_bytes = max(self.main_bytes, main)
            self.all_bytes = max(self.all_bytes, main + others)


def _resident_bytes(pid: int) -> int:
    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return 0


async def sleep_until(due_s: float) -> None:
    """Sleep until that moment of the monotonic clock."""
    await asyncio.sleep(max(0.0, due_s - time.monotonic()))
