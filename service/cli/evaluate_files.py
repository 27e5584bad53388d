"""Files that the commands for evaluations write."""

from pathlib import Path

from service.cli.options import fail
from service.tools.evaluation.report.whole_file import write_whole


def write_or_exit(path: Path, text: str) -> None:
    """Write a file whole; one that cannot be written ends the command."""
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise fail(f"{path} cannot be written: {error.strerror}") from None
