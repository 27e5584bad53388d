"""How long commands take to start, against a bare typer application and an empty Python program.

`python -m benchmarks.startup [ARGUMENT…]` lists the imports that cost most of `modstream ARGUMENT…` (`--help`).
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.runner import Comparison, Contender
from service.cli.commands import SUBCOMMANDS

HELP = ("-m", "service", "--help")
# Python, typer and rich take this time whatever a command does: `modstream --help` may double it, and a subcommand's
# settings may double that again.
PROMISED_OF_HELP = 0.5
PROMISED_OF_SUBCOMMANDS = 0.25

BARE = '''
import typer

app = typer.Typer()


@app.command()
def serve(config: str = "") -> None:
    """Serve."""


@app.command()
def send(config: str = "") -> None:
    """Send."""


app()
'''

SLOWEST = 25
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| ( *)(\S+)")


def start(*arguments: str) -> Callable[[], int]:
    """Return what runs Python with arguments to its end."""

    def run() -> int:
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)  # noqa: S603 - ours alone
        return 1

    return run


def start_subcommands() -> int:
    """Show the help of every subcommand."""
    return sum(start("-m", "service", subcommand.name, "--help")() for subcommand in SUBCOMMANDS)


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Yield the comparisons, with the bare application in a file."""
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder, "bare.py")
        bare.write_text(BARE)
        baseline = Contender("bare typer application, --help", start(str(bare), "--help"))
        yield [
            Comparison(
                "start of modstream",
                (
                    baseline,
                    Contender("python -c pass", start("-c", "pass")),
                    Contender("modstream --version", start("-m", "service", "--version")),
                    Contender("modstream --help", start(*HELP)),
                ),
                unit="starts/s",
                target_ratio=PROMISED_OF_HELP,
            ),
            Comparison(
                "start of its subcommands",
                (baseline, Contender("--help of each subcommand", start_subcommands)),
                unit="starts/s",
                target_ratio=PROMISED_OF_SUBCOMMANDS,
            ),
        ]


def slowest_imports(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the imports of a command that took longest, those of what they import included."""
    command = [sys.executable, "-X", "importtime", "-m", "service", *arguments]
    listing = subprocess.run(command, check=False, capture_output=True, text=True).stderr  # noqa: S603 - as above
    found = [(int(whole), name) for _, whole, _, name in _IMPORT.findall(listing)]
    for whole_us, name in sorted(found, reverse=True)[:SLOWEST]:
        yield f"{whole_us / 1000:8.1f} ms  {name}"


if __name__ == "__main__":
    print(*slowest_imports(sys.argv[1:] or ["--help"]), sep="\n")
