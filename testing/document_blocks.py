"""Code blocks of documents, and running them as a reader would."""

import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LANGUAGES = {"sh": "bash", "python": "python", "js": "node"}
"""Languages of blocks that run, and the program that runs each."""

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"

_NO_BYTECODE = {"PIP_NO_COMPILE": "0", "UV_COMPILE_BYTECODE": "0"}
"""Installers need not compile what no block imports. pip compiles nothing if the option's value is false."""

_FENCE = re.compile(
    r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```\n(?:\n\*Not run by the tests: (?P<reason>[^\n]+)\.\*\n)?",
    re.MULTILINE | re.DOTALL,
)

_CALLED = re.compile(r"(?:^|\| ?)\s*(kcat|npm|curl|make)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a document."""

    language: str
    text: str
    not_run: str | None
    """The reason that the document gives below a block that the tests do not run."""

    def needs(self) -> str | None:
        """Return the first program that the block calls and this machine lacks, or None."""
        if self.language != "sh":
            return "node" if self.language == "js" and _is_missing("node") else None
        if "python3 -m venv" in self.text and _cannot_make_environments():
            return "python3-venv"
        return next(filter(_is_missing, _CALLED.findall(self.text)), None)


def _is_missing(program: str) -> bool:
    return shutil.which(program, path=SYSTEM_PATH) is None


def _cannot_make_environments() -> bool:
    """Whether the system's Python lacks what Debian has in a package of its own."""
    run = subprocess.run(["python3", "-c", "import ensurepip"], env=_outside(), capture_output=True, check=False)
    return run.returncode != 0


def blocks_of(page: Path) -> list[Block]:
    """Return all fenced blocks of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    return [Block(found["language"], found["text"], found["reason"]) for found in _FENCE.finditer(text)]


def exports_of(block: Block) -> str:
    """Return the lines of a block by which a shell goes on with other variables."""
    return "".join(re.findall(r"^export .*\n", block.text, re.MULTILINE))


def bare_environment(folder: Path, **variables: str) -> dict[str, str]:
    """Make an empty virtual environment with pip, and return the variables of a shell in which it is active.

    Nothing of the environment of the tests is in it but what concerns package indexes and proxies.
    """
    python = folder / "bin" / "python"
    subprocess.run(["python3", "-m", "venv", "--without-pip", str(folder)], check=True, env=_outside())
    (wheel,) = (Path(__file__).parents[1] / "requirements" / "bootstrap").glob("pip-*.whl")
    install = [str(python), f"{wheel}/pip", "install", "--quiet", "--no-index", str(wheel)]
    subprocess.run(install, check=True, env=_outside())
    return _outside() | {"PATH": f"{folder / 'bin'}:{SYSTEM_PATH}"} | variables


def outside_environment(**variables: str) -> dict[str, str]:
    """Return the variables of a shell in which no virtual environment is active."""
    return _outside() | variables


def _outside() -> dict[str, str]:
    own = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL")
    kept = {key: value for key, value in os.environ.items() if key not in own and not key.startswith("MODSTREAM_")}
    return kept | _NO_BYTECODE | {"PATH": SYSTEM_PATH, "PYTHONUNBUFFERED": "1"}


class RunningBlock:
    """A block that runs in a process group of its own, on a terminal: without one, programs keep lines back."""

    def __init__(self, block: Block, folder: Path, environment: Mapping[str, str]) -> None:
        self._block = block
        self._output = b""
        self._terminal, inner = os.openpty()
        self._process = subprocess.Popen(
            _command(block, folder),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)

    def output_until(self, expected: str | None, *, timeout_s: float) -> str:
        """Return the output up to an expected text; without one, until the block ends with 0.

        Raises `AssertionError` with the output if that does not happen in time.
        """
        deadline_s = time.monotonic() + timeout_s
        while expected is None or expected.encode() not in self._output:
            if not self._read(deadline_s - time.monotonic()):
                break
        printed = self._output.decode(errors="replace")
        if expected is None:
            assert self._process.wait(max(1.0, deadline_s - time.monotonic())) == 0, self._failure(printed)
        else:
            assert expected in printed, self._failure(printed)
        return printed

    def stop(self) -> None:
        """End what still runs."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._terminal)

    def _read(self, timeout_s: float) -> bool:
        """Read what is there; False at the end of the output or of the time."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._terminal, selectors.EVENT_READ)
            if timeout_s <= 0 or not selector.select(timeout_s):
                return False
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # so Linux says that nothing has the terminal open any more
            return False
        self._output += data.replace(b"\r\n", b"\n")
        return bool(data)

    def _failure(self, printed: str) -> str:
        return f"the block\n{self._block.text}\nprinted\n{printed}"


def _command(block: Block, folder: Path) -> list[str]:
    """Return the command that runs a block; programs are files in the folder, so that node finds its packages."""
    if block.language == "sh":
        return ["bash", "-e", "-o", "pipefail", "-c", block.text]
    program = folder / f"program.{block.language}"
    program.write_text(block.text, encoding="utf-8")
    return [LANGUAGES[block.language], str(program)]
