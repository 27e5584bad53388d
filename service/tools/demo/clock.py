"""How long this process has run: what a user waits for begins with the interpreter, not with our first line."""

import os
import time
from pathlib import Path

# Of /proc/PID/stat, counted behind the command's name, which may hold blanks.
_START_FIELD = 19


def process_age_s() -> float:
    """Return seconds since this process was started; 0 where the system does not report it."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        started_s = int(fields[_START_FIELD]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started_s)
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0
