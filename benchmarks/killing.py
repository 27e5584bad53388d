"""A contestant that is killed with -9 in the middle of its work and started again: which images have an outcome?"""

import asyncio
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import orjson

from benchmarks.contest import ROOT
from benchmarks.peers.measured import Task
from testing.topics import committed_reader

# An engine starts in 40 s on an idle machine, and has to start twice.
TIME_LIMIT_S = 600.0
# After so long without an outcome nothing more is to come: more than a batch takes, less than an engine's start.
QUIET_S = 30.0
# So long after the outcome that gives the sign: in the middle of the next batch, and not just between two.
AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class KilledRun:
    """What readers of the outcomes found in the end."""

    judged: int
    """Images with an outcome."""
    outcomes: int


def killed_in_the_middle(command: Sequence[str], task: Task) -> KilledRun:
    """Kill a contestant with all its processes when a third of its work is done, and let it do the rest."""
    return asyncio.run(_kill_and_count(command, task))


async def _kill_and_count(command: Sequence[str], task: Task) -> KilledRun:
    async with committed_reader(task.address, [task.target]) as reader:
        with _running(command):
            await reader.until(task.records // 3, timeout_s=TIME_LIMIT_S)
            await asyncio.sleep(AFTER_S)
        # What was committed before the kill must not pass for the first sign of life after it.
        await reader.linger()
        with _running(command):
            # What comes next shows that it works again; what is lost never comes.
            await reader.until(len(reader.records) + 1, timeout_s=TIME_LIMIT_S)
            await reader.linger(quiet_s=QUIET_S)
        images = Counter(orjson.loads(record.value)["image_id"] for record in reader.records)
    return KilledRun(judged=len(images), outcomes=images.total())


@contextmanager
def _running(command: Sequence[str]) -> Iterator[None]:
    """Run a contestant; with the end of the block ends all of it, as when its container is killed."""
    with subprocess.Popen(  # noqa: S603 - contestants are modules of this package
        command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
