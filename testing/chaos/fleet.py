"""Worker processes, each in a seat that is filled again when its process ends, as an orchestrator would."""

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESTART_DELAY_S = 0.3


class Seat:
    """Keeps one worker running, whatever happens to its process, until it has to leave."""

    def __init__(self, name: str, command: Sequence[str], log_file: Path) -> None:
        self.name = name
        self.own_exits: list[int] = []
        """Exit codes of processes that ended although the harness neither killed nor stopped them."""
        self.paused = False
        self._command = command
        self._log_file = log_file
        self._process: asyncio.subprocess.Process | None = None
        self._started_at = 0.0
        self._struck = False
        self.leaving = False

    async def keep_filled(self) -> None:
        """Run processes one after the other; on cancellation the last one is killed."""
        while not self.leaving:
            code = await self._run_process()
            if not self._struck and (code != 0 or not self.leaving):
                self.own_exits.append(code)
            self._struck = False
            if not self.leaving:
                await asyncio.sleep(RESTART_DELAY_S)

    async def _run_process(self) -> int:
        with self._log_file.open("ab") as log:
            # A session of its own keeps Ctrl-C in the terminal from the workers: the harness ends them itself.
            process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=ROOT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._process, self._started_at = process, time.monotonic()
        try:
            return await process.wait()
        finally:
            self._process = None
            self.paused = False
            if process.returncode is None:
                process.kill()
                await process.wait()

    @property
    def pid(self) -> int | None:
        """The number of the process that sits here; None while there is none."""
        return None if self._process is None else self._process.pid

    @property
    def age_s(self) -> float:
        """How long the process that sits here has run."""
        return time.monotonic() - self._started_at

    @property
    def can_be_struck(self) -> bool:
        """Whether a process sits here that is neither paused nor leaving."""
        return self._process is not None and not self.paused and not self.leaving

    def kill(self) -> None:
        """End the process with no warning."""
        self._struck = True
        self._signal(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze the process: once its session is over it is a zombie that does not know it."""
        self.paused = True
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on."""
        self.paused = False
        self._signal(signal.SIGCONT)

    def leave(self) -> None:
        """Ask the process to drain and end, and fill the seat no more."""
        self.leaving = True
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


class Fleet:
    """The seats of one consumer group."""

    def __init__(self, group: asyncio.TaskGroup, command: Sequence[str], log_folder: Path) -> None:
        self._group = group
        self._command = command
        self._log_folder = log_folder
        self._seats: dict[Seat, asyncio.Task[None]] = {}

    def join(self) -> None:
        """Add a worker."""
        name = f"worker-{len(self._seats)}"
        seat = Seat(name, self._command, self._log_folder / f"{name}.log")
        self._seats[seat] = self._group.create_task(seat.keep_filled(), name=name)

    @property
    def staying(self) -> list[Seat]:
        """Seats that are not leaving."""
        return [seat for seat in self._seats if not seat.leaving]

    @property
    def own_exits(self) -> list[tuple[str, int]]:
        """Workers that ended by themselves, with their exit codes."""
        return [(seat.name, code) for seat in self._seats for code in seat.own_exits]

    async def leave(self, *, timeout_s: float) -> list[str]:
        """Stop all workers in an orderly way; kill and name those that take too long."""
        for seat in self.staying:
            seat.leave()
        tasks = self._seats.values()
        _, late = await asyncio.wait(tasks, timeout=timeout_s)
        for task in late:
            task.cancel()
        return [task.get_name() for task in late]


def command(worker: str, settings_json: str) -> list[str]:
    """Return how a worker of that kind is started."""
    module = {"modstream": "testing.chaos.worker", "plain": "testing.chaos.plain_worker"}[worker]
    return [sys.executable, "-m", module, settings_json]
