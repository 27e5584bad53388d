"""A module of this package in a process of its own, for as long as it is needed."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running(module: str, *arguments: str) -> Iterator[None]:
    """Run it beside what is measured, and end it afterwards."""
    command = [sys.executable, "-m", f"benchmarks.peers.{module}", *arguments]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as process:  # noqa: S603 - a module of this package
        try:
            yield
        finally:
            process.terminate()
