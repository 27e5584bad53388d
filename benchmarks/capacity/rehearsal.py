"""The real service under a load that changes: events published at their moments, verdicts timed as readers see them."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.contest import ROOT
from benchmarks.peers.measured import Task
from benchmarks.photographs import by_reference

# The first image waits for a group to form and for decoders to start.
READY_S = 60.0
# Half a second apart.
WARM_UPS = 12
# After the last upload: a service that takes longer for what waits hangs.
LATEST_S = 120.0


@dataclass(frozen=True, slots=True)
class Judged:
    """One image."""

    uploaded_s: float
    """Since the first upload of its load."""
    latency_s: float
    """Until a `read_committed` reader had its verdict."""
    stages_s: dict[str, float]
    """What the verdict says of its way through the process."""


class Rehearsal:
    """A service that works on a task, an uploader and a reader; entered and left as a context."""

    def __init__(self, task: Task, photographs: str, batch_s: float, *, processes: int = 1) -> None:
        self._task = task
        self._photographs = photographs
        self._count = processes
        self._processes: list[subprocess.Popen[bytes]] = []
        self._command = [
            sys.executable, "-m", "benchmarks.peers.modstream_service", task.as_argument(), str(batch_s),
        ]  # fmt: skip
        self._producer = AIOKafkaProducer(bootstrap_servers=task.address)
        self._reader = AIOKafkaConsumer(
            task.target,
            bootstrap_servers=task.address,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
        )
        self._published = 0
        self._uploaded: dict[str, float] = {}
        self._seen: dict[str, tuple[float, dict[str, float]]] = {}
        self._arrival = asyncio.Event()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Rehearsal":
        """Start all three."""
        await self._stack.enter_async_context(self._producer)
        await self._stack.enter_async_context(self._reader)
        for _ in range(self._count):
            self._start_process()
        reading = asyncio.create_task(self._read(), name="read-verdicts")
        self._stack.callback(reading.cancel)
        await self._warm_up()
        return self

    def _start_process(self) -> None:
        process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE)  # noqa: S603 - own module
        self._stack.callback(process.wait)
        self._stack.callback(process.terminate)
        self._processes.append(process)

    def kill_one(self) -> None:
        """End the first process as a lost machine would."""
        self._processes[0].kill()

    async def __aexit__(self, *_: object) -> None:
        """Stop all three."""
        await self._stack.aclose()

    async def _warm_up(self) -> None:
        """Let some images be judged, and processes that still start join."""
        async with asyncio.timeout(READY_S):
            await self._upload_and_wait([0.0])
            await self._upload_and_wait([number / 2 for number in range(WARM_UPS)])

    async def run(self, moments: Sequence[float]) -> list[Judged]:
        """Upload an image at each of these moments, in seconds from now, and return when the last one is judged."""
        async with asyncio.timeout(moments[-1] + LATEST_S):
            began_s, names = await self._upload_and_wait(moments)
        return [
            Judged(self._uploaded[name] - began_s, self._seen[name][0] - self._uploaded[name], self._seen[name][1])
            for name in names
        ]

    async def _upload_and_wait(self, moments: Sequence[float]) -> tuple[float, Sequence[str]]:
        began_s = time.perf_counter()
        names = [str(number) for number in range(self._published, self._published + len(moments))]
        self._published += len(moments)
        for name, moment in zip(names, moments, strict=True):
            if (early_s := began_s + moment - time.perf_counter()) > 0:
                await asyncio.sleep(early_s)
            self._uploaded[name] = time.perf_counter()
            await self._producer.send(self._task.source, by_reference(self._photographs, int(name)))
        while not all(name in self._seen for name in names):
            self._arrival.clear()
            await self._arrival.wait()
        return began_s, names

    async def _read(self) -> None:
        async for record in self._reader:
            verdict = orjson.loads(record.value)
            stages_s = {stage: value / 1000 for stage, value in verdict["timings_ms"].items()}
            self._seen[verdict["image_id"]] = time.perf_counter(), stages_s
            self._arrival.set()
