"""The processes that a process started, and the memory that they hold."""

import contextlib
from pathlib import Path

import psutil

_PROC = Path("/proc")
_KIB = 1024
# Without pages of files: the kernel takes them back when memory is short. psutil's figures have no such sum: its
# `rss` includes files, and `rss - shared` and `uss` leave out shared memory.
_OWN_MEMORY = ("RssAnon:", "RssShmem:")


def descendants(pid: int) -> list[psutil.Process]:
    """Return the running processes that a process started, directly or through others."""
    try:
        return [process for process in psutil.Process(pid).children(recursive=True) if _is_alive(process)]
    except psutil.NoSuchProcess:
        return []


def kill(process: psutil.Process) -> bool:
    """End a process at once, also a stopped one; return False if it has ended or its number belongs to another one."""
    with contextlib.suppress(psutil.NoSuchProcess):
        if _is_alive(process):
            process.kill()
            return True
    return False


def memory_bytes(pid: int) -> int:
    """Return the memory that a process and its descendants hold, in bytes; Linux only."""
    return sum(map(_own_memory_bytes, [pid, *(process.pid for process in descendants(pid))]))


def _is_alive(process: psutil.Process) -> bool:
    """Return False also for a zombie: it holds nothing and waits for its parent."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _own_memory_bytes(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0
    return _KIB * sum(int(line.split()[1]) for line in lines if line.startswith(_OWN_MEMORY))
