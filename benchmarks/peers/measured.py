"""What all contestants share: the task, the handler, and the stop-watch. Of the standard library alone."""

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass

from testing.peak_memory import peak_memory_mib

# The workload that Confluent's Parallel Consumer reports on.
MAX_HANDLER_S = 0.005
CONCURRENCY = 100
RECORD_BYTES = 100


@dataclass(frozen=True, slots=True)
class Task:
    """Records to take from one topic, each of which becomes one record of another."""

    address: str
    group_id: str
    source: str
    target: str
    records: int
    handler_s: float = MAX_HANDLER_S
    """A handler takes from nothing to so long."""

    def as_argument(self) -> str:
        """Return what `parse_task` reads."""
        return json.dumps(asdict(self))


def parse_task() -> Task:
    """Read the task from the command line."""
    return Task(**json.loads(sys.argv[1]))


def numbered(number: int) -> bytes:
    """Return a record of the size that Confluent's Parallel Consumer reports on."""
    return (b"%08d" % number).ljust(RECORD_BYTES, b".")


class Meter:
    """Handles records and times from the first one handled to the last one done; starting and stopping do not count."""

    def __init__(self, task: Task, *, prints: bool = True) -> None:
        """`prints` says whether another process reads the result from standard output."""
        self.seconds = 0.0
        self._prints = prints
        self._left = task.records
        self._handler_s = task.handler_s
        self._random = random.Random(1)  # noqa: S311 - paces a workload, guards nothing
        self._started_s: float | None = None
        self._cpu_s = 0.0
        self.finished = asyncio.Event()

    def begin(self) -> None:
        """Start the clock with the first record."""
        if self._started_s is None:
            self._started_s, self._cpu_s = time.perf_counter(), time.process_time()

    async def handle(self) -> None:
        """Take as long as handling a record takes."""
        self.begin()
        if self._handler_s:
            await asyncio.sleep(self._random.uniform(0, self._handler_s))

    def done(self, records: int) -> None:
        """Count records whose outcomes are committed, or as safe as this contestant ever makes them."""
        self._left -= records
        if self._left <= 0 and not self.finished.is_set():
            self.seconds = time.perf_counter() - (self._started_s or 0.0)
            self.finished.set()
            if self._prints:
                self._print()

    def _print(self) -> None:
        cpu_s = time.process_time() - self._cpu_s
        result = {"seconds": self.seconds, "cpu_s": cpu_s, "peak_mib": peak_memory_mib()}
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()
