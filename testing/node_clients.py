"""Clients of the HTTP API in JavaScript: installed from npm by a lock file, and run by node."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LOCKED = Path(__file__).with_name("node_clients")
_INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


def install_node_clients(folder: Path) -> Path:
    """Install the packages of the lock file, checked by their hashes, and return the folder."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_LOCKED / name, folder)
    run = subprocess.run(_INSTALL, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return folder


async def run_node(folder: Path, program: str, *options: str, given: Any = None, **variables: str) -> Any:
    """Run a module in the folder of the packages; return what it prints, which is JSON.

    It finds `given` as JSON in its standard input. Raises `AssertionError` with its errors if it fails.
    """
    path = folder / "program.mjs"
    path.write_text(program, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        "node",
        *options,
        str(path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env=_environment(variables),
    )
    output, errors = await asyncio.wait_for(process.communicate(json.dumps(given).encode()), timeout=60)
    assert process.returncode == 0, errors.decode()
    return json.loads(output)


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of this process without those that name a service for OpenAI's clients."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "NODE_"))}
    return {**own, **variables}
