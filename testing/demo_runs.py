"""The demos as their users run them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def start_demo(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start a command of modstream in a folder; what it prints can be read from it."""
    return subprocess.Popen(
        # Tests that run in the background of a shell, and their children, ignore SIGINT.
        ["/usr/bin/env", "--default-signal=INT", sys.executable, "-m", "service", *arguments],
        cwd=folder,
        env=os.environ | {"COLUMNS": "160"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_of(folder: Path) -> Iterator[str]:
    """Find processes that work in a folder, by their command lines."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            working = (entry.parent / "cwd").readlink()
        except OSError:
            continue
        if working.is_relative_to(folder):
            yield command
