"""A real PostgreSQL server on this machine, with a database that ends with it."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testing.prerequisites import tool_path

# PostgreSQL does not run as root; Debian's package makes this user.
UNPRIVILEGED_USER = "postgres"
# Nothing here outlives the test.
WITHOUT_DURABILITY = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off -c listen_addresses="


@dataclass(frozen=True)
class Postgres:
    """A running server that listens on a socket in a folder."""

    folder: Path

    def run(self, script: str) -> str:
        """Run a script of SQL, with data for COPY in it, and return the rows as CSV; null is an empty field."""
        command = [*("psql", "-X", "-q", "--csv", "-t", "-v", "ON_ERROR_STOP=1"), "-h", str(self.folder), "postgres"]
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command, input=script, capture_output=True, text=True, check=False, **_as_user()
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server until the block ends."""
    with tempfile.TemporaryDirectory(prefix="modstream-postgres-") as name:
        folder = Path(name)
        if _as_user():
            subprocess.run(["chown", UNPRIVILEGED_USER, name], check=True)
        data = folder / "data"
        _call("initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "-D", str(data))
        _call(
            "pg_ctl", "start", "-w", "-D", str(data), "-l", str(folder / "log"), "-o", f"{WITHOUT_DURABILITY} -k {name}"
        )
        try:
            yield Postgres(folder)
        finally:
            _call("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(data))


def _call(command: str, *arguments: str) -> None:
    program = tool_path(command)
    assert program is not None, command
    subprocess.run([program, *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=60, **_as_user())


def _as_user() -> Mapping[str, Any]:
    return {"user": UNPRIVILEGED_USER, "group": UNPRIVILEGED_USER, "extra_groups": []} if os.geteuid() == 0 else {}
