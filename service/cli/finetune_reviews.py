"""Writes the topic's reviews into a file for the command, with progress."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from service.cli.exits import ExitCode
from service.cli.options import error_console, errors_shown, fail, warn
from service.settings.settings import Settings
from service.telemetry.logs import configure_logging
from service.tools.finetuning.review_topic import Collected, collect_reviews


def write_reviews(settings: Settings, topic: str, out: Path) -> None:
    """Write the file whole, and print what it holds; what cannot be read or written ends the command."""
    configure_logging(settings.telemetry)
    partial = out.with_name(f".{out.name}.partial")
    try:
        with errors_shown(), _progress() as on_progress, partial.open("wb") as file:
            found = asyncio.run(collect_reviews(settings, topic, file, on_progress))
        partial.replace(out)
    except OSError as error:
        raise fail(f"{out} cannot be written: {error.strerror}") from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        error_console().print("stopped: nothing was written", highlight=False)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    finally:
        partial.unlink(missing_ok=True)
    _print(found, out)


def _print(found: Collected, out: Path) -> None:
    for reason, count in found.skipped.most_common():
        warn(f"{count:,} records are no reviews and are skipped: {reason}")
    typer.echo(f"{found.reviews:,} reviews: {out}")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    console = error_console()
    columns = (TextColumn("Reading"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Reading", total=None)
        yield lambda passed, total: progress.update(task, completed=passed, total=total)
