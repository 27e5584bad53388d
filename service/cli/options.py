"""What subcommands share: the settings options, and how errors are shown."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from service.cli.exits import ExitCode
from service.core.errors import ModstreamError
from service.settings.load import LoadedSettings, load_settings
from service.settings.problems import InvalidSettingsError
from service.settings.sources import CONFIG_VARIABLE
from service.telemetry.plain_text import escaped_lines

# Wider than any row.
_UNLIMITED = 10_000

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help=f"YAML file of settings. Default: {CONFIG_VARIABLE}. MODSTREAM_… variables take precedence.",
    ),
]


def load_or_exit(config: Path | None) -> LoadedSettings:
    """Return the settings; on problems show all of them and exit with the code for wrong usage."""
    try:
        loaded = load_settings(config, os.environ)
    except InvalidSettingsError as error:
        first, *rest = str(error).splitlines()
        complain_of(first, rest)
        raise typer.Exit(ExitCode.USAGE) from None
    for warning in loaded.warnings:
        warn(str(warning))
    return loaded


def fail(message: str, *, code: ExitCode = ExitCode.FAILED) -> typer.Exit:
    """Print an error, and return the exception that ends the command."""
    complain(message)
    return typer.Exit(code)


def plain(text: str) -> str:
    """Return a text for a console: no markup in it has an effect, and nothing that a terminal would obey."""
    return escape(escaped_lines(text))


def complain(message: str) -> None:
    """Print an error."""
    error_console().print(f"[bold red]error:[/] {plain(message)}", highlight=False)


def complain_of(heading: str, lines: Iterable[str]) -> None:
    """Print several errors under a heading."""
    console = error_console()
    console.print(f"[bold red]{plain(heading)}[/]", highlight=False)
    console.print(plain("\n".join(lines)), highlight=False)


def warn(message: str) -> None:
    """Print a warning."""
    error_console().print(f"[yellow]warning:[/] {plain(message)}", highlight=False)


@contextmanager
def errors_shown() -> Iterator[None]:
    """Turn the service's own errors into a message and an exit code: no traceback for what a user can mend."""
    try:
        yield
    except ModstreamError as error:
        notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
        raise fail(f"{error}{notes} [{error.reason}]") from None


def output_console() -> Console:
    """Return the console for tables and sentences; a pipe has no width, unless COLUMNS gives it one."""
    console = Console(highlight=False)
    has_width = console.is_terminal or bool(os.environ.get("COLUMNS"))
    return console if has_width else Console(highlight=False, width=_UNLIMITED)


def error_console() -> Console:
    """Return the console for what is not output; long lines of paths are not broken where they can be copied."""
    return Console(stderr=True, soft_wrap=True, emoji=False)
