"""This process and those that it started, as Linux tells of them in /proc."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_KIB = 1024
# Pages of files are left out: the kernel takes them back when memory is short.
_OWN_MEMORY = ("RssAnon:", "RssShmem:")
# Fields of /proc/PID/stat behind the name in parentheses.
_STATE, _PARENT, _START = 0, 1, 19


@dataclass(frozen=True, slots=True)
class Process:
    """A process as it was found; it may have another parent by now."""

    pid: int
    parent: int
    started: int
    """In ticks since the machine did: tells it from a later process with its number."""


def can_be_listed() -> bool:
    """Tell whether this system describes its processes."""
    return (_PROC / "self/stat").exists()


def descendants(pid: int) -> list[Process]:
    """Return all that a process started, and what those started; ended ones that nobody has asked about left out."""
    children: dict[int, list[Process]] = {}
    for process in _all():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    parents = [pid]
    while parents:
        below = children.get(parents.pop(), [])
        found += below
        parents += [process.pid for process in below]
    return found


def memory_bytes(pid: int) -> int:
    """Return the memory that a process and its descendants hold."""
    return sum(map(_own_memory_bytes, [pid, *(process.pid for process in descendants(pid))]))


def kill(process: Process) -> bool:
    """End a process at once, a stopped one as well; False if it had ended already."""
    now = _describe(process.pid)
    if now is None or now.started != process.started:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
        return True
    return False


def _all() -> Iterator[Process]:
    for entry in _PROC.iterdir():
        if entry.name.isdecimal() and (process := _describe(int(entry.name))):
            yield process


def _describe(pid: int) -> Process | None:
    try:
        _, _, rest = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")
    except OSError:
        return None
    fields = rest.split()
    return None if fields[_STATE] == "Z" else Process(pid, int(fields[_PARENT]), int(fields[_START]))


def _own_memory_bytes(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0
    return _KIB * sum(int(line.split()[1]) for line in lines if line.startswith(_OWN_MEMORY))
