"""`modstream archive`: keeps verdicts, tags, dead letters and audits as Parquet files."""

import asyncio
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.exits import ExitCode
from service.cli.lazy import one_line_paragraphs
from service.cli.options import ConfigOption, error_console, errors_shown, fail, load_or_exit
from service.telemetry.logs import configure_logging
from service.tools.dead_letters.filters import parse_moment

if TYPE_CHECKING:
    from service.tools.evaluation.archive.run import Flushed

MIB = 1024 * 1024

_OLDEST = timedelta(days=1)

app = typer.Typer(
    invoke_without_command=True,
    help=one_line_paragraphs("""Keep verdicts, tags, dead letters and audits as Parquet files, in a folder or in S3.

    One row for each record, in a file for each day and tenant. Every committed record is archived exactly once, also
    if the command is killed and started again. One process at a time writes to an archive. The credentials for S3 are
    those of the AWS_ variables, or of the machine's role.

    [bold]Examples[/]

      modstream archive --to archive -c modstream.yaml                follow the topics, until Ctrl-C

      modstream archive --to s3://bucket/modstream --once             archive what is there and end, for cron

      modstream archive forget --archive archive --tenant shop --image-id 42

      modstream archive forget --archive archive --older-than 400d

      modstream archive compact --archive archive                     merge small files

    [bold]Exit codes[/]  0 ended with --once · 1 the brokers, the folder or the bucket refuse · 2 wrong arguments or
    settings · 130 ended by Ctrl-C, nothing is lost
    """),
)

ToOption = Annotated[
    str | None, typer.Option("--to", metavar="PLACE", help="Folder or s3://bucket/prefix. It is made if it is missing.")
]


@app.callback()
def archive(
    context: typer.Context,
    config: ConfigOption = None,
    *,
    to: ToOption = None,
    once: Annotated[
        bool, typer.Option("--once", help="End when everything is archived that was committed at the start.")
    ] = False,
    flush_mib: Annotated[
        int, typer.Option(min=1, max=4096, help="Write when so many MiB of rows wait in memory.")
    ] = 64,
    flush_seconds: Annotated[
        float, typer.Option(min=1, max=86_400, help="Write when a row has waited for so long.")
    ] = 300.0,
) -> None:
    """Follow the topics of outcomes."""
    if context.invoked_subcommand is not None:
        return
    if to is None:
        raise fail("--to is missing: name a folder, or s3://bucket/prefix", code=ExitCode.USAGE)
    from service.tools.evaluation.archive.run import (  # noqa: PLC0415 - the help need not load it
        ArchiveOptions,
        archive_topics,
    )
    from service.tools.evaluation.stored.archive_store import open_store  # noqa: PLC0415 - as above

    settings = load_or_exit(config).settings
    configure_logging(settings.telemetry)
    options, printed = ArchiveOptions(once=once, flush_bytes=flush_mib * MIB, flush_s=flush_seconds), _Printed()
    with errors_shown():
        asyncio.run(archive_topics(settings, open_store(to), options, printed.add))
    printed.show_total(to)


@app.command()
def forget(
    *,
    place: Annotated[str, typer.Option("--archive", metavar="PLACE", help="Folder or s3://bucket/prefix.")],
    tenant: Annotated[str | None, typer.Option(metavar="NAME", help="The tenant of the images.")] = None,
    image_id: Annotated[list[str] | None, typer.Option(metavar="ID", help="The id of an image; repeatable.")] = None,
    image_ids: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Ids of images, one a line.", exists=True, dir_okay=False, allow_dash=True),
    ] = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="TIME", help="Delete whole days before this one: 400d ago, or a date (UTC).")
    ] = None,
) -> None:
    """Delete images of a tenant, or days that are too old, from every table.

    An archiver may run meanwhile. A forgotten image stays forgotten if its records are read again: the archive keeps a
    salted hash of its id. The command ends when all is deleted; if it is interrupted, run it again. It does not
    delete records from Kafka: their topics' retention does.

    [bold]Examples[/]

      modstream archive forget --archive archive --tenant shop --image-id 42 --image-id 43

      modstream archive forget --archive s3://bucket/modstream --older-than 400d

    [bold]Exit codes[/]  0 deleted, or nothing of it was there · 1 the folder or bucket refuses · 2 wrong arguments
    """
    ids = [*(image_id or ()), *_lines(image_ids)]
    if (older_than is None) == (not ids) or bool(ids) != (tenant is not None):
        raise fail("give --tenant with --image-id or --image-ids, or else --older-than", code=ExitCode.USAGE)
    from service.tools.evaluation.archive.retention import (  # noqa: PLC0415 - the help need not load it
        expire_days,
        forget_images,
    )
    from service.tools.evaluation.stored.archive_store import open_store  # noqa: PLC0415 - as above

    with errors_shown():
        if older_than is not None:
            before = _moment(older_than)
            files = expire_days(open_store(place), before.date())
            typer.echo(f"deleted {files:,} files of days before {before.date()}")
        elif tenant is not None:
            gone = forget_images(open_store(place), tenant, ids)
            typer.echo(f"deleted {_summary(gone)} of {len(set(ids)):,} images")


@app.command("compact")
def compact_files(
    *, place: Annotated[str, typer.Option("--archive", metavar="PLACE", help="Folder or s3://bucket/prefix.")]
) -> None:
    """Merge the files of each day and tenant, so that reading is fast: once a day, by cron.

    An archiver may run meanwhile. If the command is interrupted, run it again: modstream's commands see each row once
    in any case, and other programs see rows twice until then.

    [bold]Examples[/]

      modstream archive compact --archive archive

    [bold]Exit codes[/]  0 merged, or nothing was to be merged · 1 the folder or bucket refuses · 2 wrong arguments
    """
    from service.tools.evaluation.archive.compaction import compact  # noqa: PLC0415 - the help need not load it
    from service.tools.evaluation.stored.archive_store import open_store  # noqa: PLC0415 - as above

    with errors_shown():
        replaced, written = compact(open_store(place))
    typer.echo(f"merged {replaced:,} files into {written:,}")


class _Printed:
    """Reports what was archived: every flush to standard error, the sum to standard output."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._files = 0

    def add(self, flushed: "Flushed") -> None:
        self._counts.update(flushed.counts)
        self._files += flushed.files
        words = f"archived {_summary(flushed.counts)} in {flushed.files:,} files"
        left = f"; {flushed.behind:,} offsets are left" if flushed.behind else ""
        error_console().print(f"{words}{left}", highlight=False)

    def show_total(self, place: str) -> None:
        typer.echo(f"archived {_summary(self._counts)} in {self._files:,} files to {place}")


def _summary(counts: Mapping[str, int]) -> str:
    from service.tools.evaluation.archive.buffer import summary_of  # noqa: PLC0415 - loads pyarrow

    return summary_of(counts)


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise fail(f"{path} is no text in UTF-8", code=ExitCode.USAGE) from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _moment(text: str) -> datetime:
    now = datetime.now(UTC)
    try:
        before = parse_moment(text, now)
    except (ValueError, OverflowError):
        raise fail(
            f"--older-than {text} cannot be read; it is given as 400d or 2026-05-04", code=ExitCode.USAGE
        ) from None
    if before > now - _OLDEST:
        raise fail(f"--older-than {text} would delete what is written now: give a day or more", code=ExitCode.USAGE)
    return before
