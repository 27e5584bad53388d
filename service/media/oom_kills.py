"""The number of kills by the kernel's OOM killer, from the file of the kernel that counts them."""

import re
from pathlib import Path

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")

# cgroup v2's memory.events, v1's memory.oom_control, and the whole machine's /proc/vmstat.
_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def oom_kills(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int | None:
    """Return the processes that were killed for want of memory, in this process's cgroup if that can be read.

    None where no file counts it. Only the growth between two calls means anything.
    """
    for file in (*_of_own_cgroup(proc, cgroups), proc / "vmstat"):
        if (text := _read(file)) and (found := _COUNT.search(text)):
            return int(found.group(1))
    return None


def _of_own_cgroup(proc: Path, cgroups: Path) -> list[Path]:
    """Return where the counter may be; a container often sees its own cgroup as the root."""
    files = []
    for line in (_read(proc / "self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        relative = path.lstrip("/")
        if not controllers:
            files += [cgroups / relative / "memory.events", cgroups / "memory.events"]
        elif "memory" in controllers.split(","):
            files += [cgroups / "memory" / relative / "memory.oom_control", cgroups / "memory/memory.oom_control"]
    return files


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None
