"""A process of its own that ends what its parent started, should the parent be killed.

A model's processes do not notice that the service is gone: they would keep the GPU's memory, and the service that is
started next would not find room. Run as `python -m service.runtime.orphan_reaper PID`; the parent holds the other end
of standard input, which the system closes for it however it ends.
"""

import os
import select
import subprocess
import sys

import psutil

from service.runtime.process_tree import descendants, kill

_EVERY_S = 2.0
"""How often it looks for new processes: what a parent started in its last moments ends by itself, or not at all."""

_GOOD_ORDER = b"."
# It frees shared memory once those that used it are gone, and ends then.
_CLEANS_UP = "multiprocessing.resource_tracker"


class OrphanWatch:
    """Starts and stops the process that watches this one."""

    def __init__(self) -> None:
        self._watcher: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start to watch this process. May be repeated."""
        if self._watcher is None:
            command = [sys.executable, "-m", "service.runtime.orphan_reaper", str(os.getpid())]
            # A signal to the service's group must not end what has to outlive it.
            self._watcher = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )

    def wait_for_a_look(self) -> None:
        """Return once the watching process has listed this process's children for the first time."""
        if self._watcher is not None and self._watcher.stdout is not None:
            self._watcher.stdout.read(1)

    def stop(self) -> None:
        """Stop watching in good order: running processes are not ended."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.communicate(_GOOD_ORDER)


def watch(parent: int, stream: int) -> list[psutil.Process]:
    """Return the processes that a killed parent left behind; none if it ended in good order."""
    started = _started(parent)
    os.write(sys.stdout.fileno(), b".")
    # A process that was forked off the parent may hold the stream open after it.
    while os.getppid() == parent and not select.select([stream], [], [], _EVERY_S)[0]:
        started = _started(parent) or started
    is_in_good_order = select.select([stream], [], [], 0)[0] and os.read(stream, 1) == _GOOD_ORDER
    return [] if is_in_good_order else started


def _started(parent: int) -> list[psutil.Process]:
    return [process for process in descendants(parent) if process.pid != os.getpid()]


def _end(orphans: list[psutil.Process]) -> None:
    for orphan in orphans:
        if not _cleans_up(orphan):
            kill(orphan)


def _cleans_up(process: psutil.Process) -> bool:
    try:
        return any(_CLEANS_UP in argument for argument in process.cmdline())
    except psutil.Error:
        return False


if __name__ == "__main__":
    _end(watch(int(sys.argv[1]), sys.stdin.fileno()))
