"""`modstream evaluate audits`: what audits of allowed images say of what is missed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.as_json import as_json
from service.cli.evaluate_files import write_or_exit
from service.cli.evaluate_sample import MAX_CONFIDENCE, MIN_CONFIDENCE, CategoryOption
from service.cli.exits import ExitCode
from service.cli.options import errors_shown, fail
from service.cli.verdict_options import SinceOption, since_moment
from service.tools.dead_letters.filters import parse_moment

if TYPE_CHECKING:
    from service.tools.evaluation.sampling.audits import PolicyMisses


@dataclass(frozen=True, slots=True)
class _Report:
    """What --json writes."""

    archive: str
    since: str | None
    until: str | None
    confidence: float
    policies: "tuple[PolicyMisses, ...]"


def audits(
    archive: Annotated[
        str,
        typer.Argument(
            metavar="ARCHIVE", help="Folder or s3://bucket/prefix of 'modstream archive'.", show_default=False
        ),
    ],
    *,
    since: SinceOption = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Judged before this time; it is given as --since is.")
    ] = None,
    policy: Annotated[str | None, typer.Option(metavar="NAME", help="This policy alone.")] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write audited images as CSV, for people to label; it must not exist."),
    ] = None,
    without_find: Annotated[
        int, typer.Option(min=0, max=100_000, help="Images without a find that the sheet has besides.")
    ] = 200,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A labelled sheet: what is truly missed.", exists=True, dir_okay=False),
    ] = None,
    category: CategoryOption = None,
    confidence: Annotated[float, typer.Option(min=MIN_CONFIDENCE, max=MAX_CONFIDENCE, help="Of the intervals.")] = 0.95,
    min_done: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Least share of the chosen images that was audited.")
    ] = 0.5,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all figures as JSON.")] = None,
) -> None:
    """Estimate from audits how much of what was allowed should not have been.

    An audit judges an allowed image again with a question for every category (setting policy.audit_share). Missed is
    the share of the allowed images that the policy would then not have allowed. Recall is flagged / (flagged + missed),
    where all that was flagged live counts as rightly so. Chosen images that were left out count as those of their
    policy and day that were audited, and their share is printed.

    The questions may be wrong, too. --sheet writes all audits with a find, and some without, for people to label: into
    the column 'labels' goes every category that an image shows, separated by spaces, or 'none', or 'skip'. --labels
    reads the sheet back, and 'truly missed' follows.

    [bold]Examples[/]

      modstream evaluate audits archive --since 7d

      modstream evaluate audits archive --since 30d --sheet to-label.csv

      modstream evaluate audits archive --since 30d --labels to-label.csv --json figures.json

    [bold]Exit codes[/]  0 estimated · 1 no audits are there, or too few of every policy · 2 wrong arguments
    """
    from service.cli.evaluate_audits_table import print_misses  # noqa: PLC0415 - the help need not load it
    from service.tools.evaluation.sampling.audit_sheet import audit_sheet  # noqa: PLC0415 - as above
    from service.tools.evaluation.sampling.audits import estimate_misses  # noqa: PLC0415 - loads NumPy
    from service.tools.evaluation.sampling.stored_misses import read_labels, read_misses  # noqa: PLC0415 - loads DuckDB

    if sheet is not None and sheet.exists():
        raise fail(f"{sheet} exists, and may hold labels: give --sheet another name", code=ExitCode.USAGE)
    if "://" not in archive and not Path(archive).is_dir():
        detail = "name the folder or s3://bucket/prefix that 'modstream archive' writes to"
        raise fail(f"{archive}: there is no such folder: {detail}", code=ExitCode.USAGE)
    first, last = since_moment(since), _until_moment(until)
    with errors_shown():
        labelled = None if labels is None else read_labels(labels, category or ())
        stored = read_misses(archive, since=first, until=last, labels=labelled)
        chosen = [image for image in stored.chosen if policy in (None, image.policy)]
        if not chosen:
            raise fail(f"{archive} has no audits of that policy and time: change --policy, --since or --until")
        found = estimate_misses(chosen, stored.live, confidence=confidence, min_done=min_done)
    if sheet is not None:
        write_or_exit(sheet, audit_sheet(chosen, without_find=without_find))
    if json is not None:
        texts = [None if each is None else each.isoformat() for each in (first, last)]
        write_or_exit(json, as_json(_Report(archive, texts[0], texts[1], confidence, found)) + "\n")
    print_misses(found, confidence)
    if all(each.refused is not None for each in found):
        raise typer.Exit(ExitCode.FAILED)


def _until_moment(until: str | None) -> datetime | None:
    """Return the moment that --until names; end the command if it cannot be read."""
    if until is None:
        return None
    try:
        return parse_moment(until, datetime.now(UTC))
    except (ValueError, OverflowError):
        detail = "it is given as 2026-05-04T03:00Z, 2026-05-04 (UTC), or how long ago: 90s, 30m, 12h, 7d"
        raise fail(f"--until {until} cannot be read; {detail}", code=ExitCode.USAGE) from None
