"""`python -m testing.mortal_engine SETTINGS_FILE [--with-parent]`: the service around an engine that can die.

The engine runs in a process of its own, as a model does, and judges many images side by side. An image whose first
pixel is the marked one ends that process, `--with-parent` the service's as well, as when the kernel runs out of memory.
"""

import asyncio
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import service.app.data_plane
from service.app.run import run_service
from service.core.errors import EXIT_FATAL, EngineDeadError, FatalError
from service.core.instructions import ModelInstructions
from service.core.pixels import ImageSpec
from service.inference.engine import EngineDescription, EngineLoad, EngineOutput, EngineRequest
from service.inference.first_pass.engine import FirstPassEngine
from service.settings.load import load_settings
from service.telemetry.logs import configure_logging

MARK = (201, 7, 99)
"""Of this the engine dies."""

DEATHS = "MORTAL_ENGINE_DEATHS"
"""Environment variable that names a file, to which each death adds a byte."""

JUDGED_S, DYING_S = 0.3, 0.1
"""What is in the engine with the marked image is still in it when that ends it."""

_CHILD = """
import os, signal, sys, threading
parent, deaths = int(sys.argv[1]), sys.argv[2]
def answer(number):
    sys.stdout.write(number + "\\n"); sys.stdout.flush()
def die():
    if deaths:
        with open(deaths, "ab") as file:
            file.write(b".")
    if parent:
        os.kill(parent, signal.SIGKILL)
    os._exit(9)
for line in sys.stdin:
    number, is_marked = line.split()
    if is_marked == "1":
        threading.Timer(DYING_S, die).start()
    else:
        threading.Timer(JUDGED_S, answer, [number]).start()
"""


class MortalEngine:
    """Follows the `Engine` protocol; its child does the work."""

    def __init__(self, on_failure: Callable[[FatalError], None], *, with_parent: bool) -> None:
        self._on_failure = on_failure
        self._with_parent = with_parent
        self._numbers = itertools.count()
        self._answers: dict[str, asyncio.Future[None]] = {}
        self._child: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    def describe(self, instructions: ModelInstructions) -> EngineDescription:
        """Covers nothing."""
        del instructions
        return EngineDescription("mortal", "mortal", "1", frozenset(), frozenset(), ImageSpec(max_pixels=64 * 64), 64)

    def load(self) -> EngineLoad:
        """All that is asked runs at once."""
        return EngineLoad(len(self._answers), 0)

    async def start(self) -> None:
        """Start the child."""
        code = _CHILD.replace("DYING_S", str(DYING_S)).replace("JUDGED_S", str(JUDGED_S))
        parent = os.getpid() if self._with_parent else 0
        command = (sys.executable, "-c", code, str(parent), os.environ.get(DEATHS, ""))
        self._child = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._reading = asyncio.create_task(self._read(), name="mortal-engine")

    async def prepare(self, instructions: ModelInstructions) -> None:
        """Nothing to prepare."""

    def forget(self, instructions: ModelInstructions) -> None:
        """Nothing to free."""

    async def judge(self, request: EngineRequest) -> EngineOutput:
        """Ask the child."""
        assert self._child is not None
        assert self._child.stdin is not None
        number = f"{next(self._numbers)}"
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        is_marked = tuple(request.pixels[0, 0]) == MARK
        self._child.stdin.write(f"{number} {int(is_marked)}\n".encode())
        try:
            await answer
        finally:
            del self._answers[number]
        return EngineOutput(scores=None)

    async def explain(self, request: EngineRequest, categories: Sequence[str]) -> Mapping[str, str]:
        """Explain nothing."""
        del request, categories
        return {}

    async def stop(self) -> None:
        """End the child."""
        if self._reading is not None:
            self._reading.cancel()
        if self._child is not None and self._child.returncode is None:
            self._child.kill()
            await self._child.wait()

    async def _read(self) -> None:
        assert self._child is not None
        assert self._child.stdout is not None
        async for line in self._child.stdout:
            answer = self._answers.get(line.decode().strip())
            if answer is not None and not answer.done():
                answer.set_result(None)
        error = EngineDeadError(detail="its process ended")
        self._on_failure(error)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(error)


def build(_settings: object, *, on_failure: Callable[[FatalError], None], **_others: Any) -> FirstPassEngine:
    """Stand in for `build_passes`."""
    return FirstPassEngine(MortalEngine(on_failure, with_parent="--with-parent" in sys.argv))


if __name__ == "__main__":
    vars(service.app.data_plane)["build_passes"] = build  # the one place that builds engines
    chosen = load_settings(Path(sys.argv[1]), os.environ).settings
    configure_logging(chosen.telemetry)
    try:
        asyncio.run(run_service(chosen))
    except FatalError:
        sys.exit(EXIT_FATAL)
