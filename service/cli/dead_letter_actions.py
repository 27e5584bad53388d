"""`modstream dead-letters redrive` and `discard`: first as a dry run, and each dead letter once."""

import asyncio
import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import structlog
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from service.cli.as_json import as_json
from service.cli.dead_letter_filters import filtered, settings_of, store_of
from service.cli.dead_letter_tables import print_result, result_json
from service.cli.exits import ExitCode
from service.cli.options import ConfigOption, complain, error_console, errors_shown, fail, output_console
from service.settings.settings import Settings
from service.telemetry.logs import configure_logging
from service.tools.dead_letters.actions import Discard, Redrive
from service.tools.dead_letters.filters import DeadLetterFilter
from service.tools.dead_letters.rate_limit import Pace

if TYPE_CHECKING:
    from service.tools.dead_letters.run import Progress as OnProgress
    from service.tools.dead_letters.run import RunResult

log = structlog.get_logger(__name__)

_REDRIVEN = "sent back"
_WOULD_REDRIVE = "would be sent back (dry run: --execute sends them)"
_DISCARDED = "discarded"
_WOULD_DISCARD = "would be discarded (dry run: --execute does it)"

ExecuteOption = Annotated[
    bool, typer.Option("--execute", help="Do it. Without this option the command prints what it would do.")
]
LimitOption = Annotated[int | None, typer.Option(min=1, help="So many dead letters at most.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for scripts.")]


@filtered
def redrive(
    context: typer.Context,
    wanted: DeadLetterFilter,
    config: ConfigOption = None,
    *,
    execute: ExecuteOption = False,
    rate: Annotated[float | None, typer.Option(min=0.01, help="Dead letters a second at most.")] = None,
    limit: LimitOption = None,
    json: JsonOption = False,
) -> None:
    """Send dead letters back to the topic of uploads, each once. Without --execute: a dry run.

    Key, value and the uploader's headers are unchanged. One transaction sends a dead letter and records that it was
    sent, so no dead letter is sent twice, even if the command is interrupted, killed, or run twice at once. A record
    that fails again becomes a new dead letter, which counts how often it was sent back.

    [bold]Examples[/]

      modstream dead-letters redrive --reason 'fetch.*' --since 6h

      modstream dead-letters redrive --reason 'fetch.*' --since 6h --rate 50 --execute

      modstream dead-letters redrive --partition 3 --offset 17 --execute

    [bold]Exit codes[/]  0 all were sent, or would be · 1 some or all were not · 2 wrong arguments or settings
    """
    from service.kafka.topics import journal_topic  # noqa: PLC0415 - the help need not load it

    settings = settings_of(config)
    action = Redrive(settings.topics.uploads, journal_topic(settings.topics), _now, who())
    result = _carried_out(context, settings, action, wanted, execute=execute, pace=Pace(rate), limit=limit)
    _print(result, _REDRIVEN if execute else _WOULD_REDRIVE, json=json)


@filtered
def discard(
    context: typer.Context,
    wanted: DeadLetterFilter,
    config: ConfigOption = None,
    *,
    why: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Kept with each dead letter; --execute needs it.")
    ] = None,
    execute: ExecuteOption = False,
    limit: LimitOption = None,
    json: JsonOption = False,
) -> None:
    """Mark dead letters as discarded. Without --execute: a dry run.

    Discarded dead letters are no longer listed, counted or sent back. They stay in their topic until the brokers delete
    them; 'list --all' and 'show' print when, by which user and why each was discarded.

    [bold]Examples[/]

      modstream dead-letters discard --reason 'event.*' --until 7d

      modstream dead-letters discard --fingerprint 3f0c --why 'uploader fixed, images are gone' --execute

    [bold]Exit codes[/]  0 all are discarded, or would be · 1 some or all are not · 2 wrong arguments or settings
    """
    if execute and not (why or "").strip():
        raise fail("--execute needs --why: give the reason, which is kept", code=ExitCode.USAGE)
    from service.kafka.topics import journal_topic  # noqa: PLC0415 - the help need not load it

    settings = settings_of(config)
    action = Discard(why or "", journal_topic(settings.topics), _now, who())
    result = _carried_out(context, settings, action, wanted, execute=execute, pace=Pace(), limit=limit)
    _print(result, _DISCARDED if execute else _WOULD_DISCARD, json=json)


def _carried_out(
    context: typer.Context,
    settings: Settings,
    action: Redrive | Discard,
    wanted: DeadLetterFilter,
    *,
    execute: bool,
    pace: Pace,
    limit: int | None,
) -> "RunResult":
    """Carry an action out behind a progress bar; end the command with what was done when it is interrupted."""
    from service.tools.dead_letters.run import RunResult, carry_out  # noqa: PLC0415 - the help need not load it

    configure_logging(settings.telemetry)
    result, store = RunResult(), store_of(context, settings)
    try:
        with errors_shown(), _progress() as on_progress:
            asyncio.run(
                carry_out(
                    store, action, wanted, result, execute=execute, pace=pace, limit=limit, on_progress=on_progress
                )
            )
    except (KeyboardInterrupt, typer.Exit) as error:
        by_hand = isinstance(error, KeyboardInterrupt)
        if by_hand or result.done:
            complain(f"interrupted after {result.done:,} dead letters; run the same command again to continue")
        raise typer.Exit(ExitCode.INTERRUPTED if by_hand else ExitCode.FAILED) from None
    finally:
        if execute and result.done:
            _log(action, result)
    return result


def _log(action: Redrive | Discard, result: "RunResult") -> None:
    """Log one line for the operator; the journal has an entry for every dead letter."""
    if isinstance(action, Redrive):
        log.info("dead_letters.redriven", letters=result.done, by=action.by)
    else:
        log.info("dead_letters.discarded", letters=result.done, by=action.by, why=action.why)


@contextmanager
def _progress() -> "Iterator[OnProgress]":
    """Show how far it came, on a terminal."""
    console = error_console()
    percentage, dead_letters = TextColumn("{task.percentage:>3.0f} %"), TextColumn("{task.description}")
    columns = percentage, BarColumn(), dead_letters, TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        yield lambda snapshot, result: progress.update(
            task, total=snapshot.total, completed=snapshot.passed, description=f"{result.done:,} dead letters"
        )


def _print(result: "RunResult", words: str, *, json: bool) -> None:
    """Say what came of it, and end the command with its exit code."""
    if json:
        typer.echo(as_json(result_json(result)))
    else:
        print_result(output_console(), result, words)
    raise typer.Exit(ExitCode.FAILED if result.refused else ExitCode.OK)


def _now() -> datetime:
    return datetime.now(UTC)


def who() -> str:
    """Return the user of the command and the host name; the user's number if it has no name, as in containers."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
