"""The options of commands that read stored verdicts: where they are, and since when."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.exits import ExitCode
from service.cli.options import fail, load_or_exit
from service.tools.dead_letters.filters import parse_moment

if TYPE_CHECKING:
    from service.tools.evaluation.stored.stored_verdicts import VerdictSource

_PANEL = "Which verdicts"

ArchiveOption = Annotated[
    str | None,
    typer.Option(
        "--archive",
        metavar="PLACE",
        rich_help_panel=_PANEL,
        help="Folder or s3://bucket/prefix of 'modstream archive', or of a sink of Kafka Connect. Default: the topic.",
    ),
]
VerdictsOption = Annotated[
    Path | None,
    typer.Option(
        "--verdicts",
        metavar="FILE",
        rich_help_panel=_PANEL,
        help="Verdicts as JSON lines, plain or as .gz, also what 'modstream try --json', 'watch --json' and 'evaluate "
        "--predictions' write; - is standard input.",
    ),
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        rich_help_panel=_PANEL,
        help="Judged since this time: ISO 8601 (UTC without a zone), or 90s, 30m, 12h, 7d ago.",
    ),
]


def verdict_source(archive: str | None, verdicts: Path | None, config: Path | None) -> "VerdictSource":
    """Return what the options name, or the topic of the settings; end the command if they name two."""
    from service.tools.evaluation.stored.stored_verdicts import (  # noqa: PLC0415 - the help need not load it
        StoredFiles,
        VerdictLines,
        VerdictTopic,
    )

    if archive is not None and verdicts is not None:
        raise fail("--archive and --verdicts name two sources: give one of them", code=ExitCode.USAGE)
    if archive is not None:
        return StoredFiles(archive)
    return VerdictTopic(load_or_exit(config).settings) if verdicts is None else VerdictLines(verdicts)


def since_moment(since: str | None) -> datetime | None:
    """Return the moment that --since names; end the command if it cannot be read."""
    if since is None:
        return None
    try:
        return parse_moment(since, datetime.now(UTC))
    except (ValueError, OverflowError):
        detail = "it is given as 2026-05-04T03:00Z, 2026-05-04 (UTC), or how long ago: 90s, 30m, 12h, 7d"
        raise fail(f"--since {since} cannot be read; {detail}", code=ExitCode.USAGE) from None
