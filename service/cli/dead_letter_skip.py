"""`modstream dead-letters skip`: finishes one record by hand."""

import asyncio
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from service.cli.dead_letter_actions import who
from service.cli.dead_letter_filters import settings_of
from service.cli.exits import ExitCode
from service.cli.options import ConfigOption, errors_shown, fail
from service.core.records import Partition
from service.settings.settings import Settings

if TYPE_CHECKING:
    from service.delivery.skip import Skippable

_PLACE = re.compile(r"([A-Za-z0-9._-]{1,249})([/:])(\d{1,9})\2(\d{1,18})")


def skip(
    place: Annotated[
        str,
        typer.Argument(
            metavar="TOPIC:PARTITION:OFFSET",
            help="The record. TOPIC/PARTITION/OFFSET, as logs have it, is the same.",
        ),
    ],
    config: ConfigOption = None,
    *,
    why: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The reason, which the dead letter keeps. Required with --execute."),
    ] = None,
    execute: Annotated[
        bool, typer.Option("--execute", help="Do it. Without this option the command prints what it would do.")
    ] = False,
) -> None:
    """Skip one record that the service cannot get past. Without --execute: a dry run.

    One transaction makes the record a dead letter with the reason record.skipped, and marks it as finished in the
    group's progress. The service may run meanwhile: it is fenced for a moment, drops its own work on the record, and
    continues. With delivery: at_least_once no process of the group may run. TOPIC is the topic of uploads or a retry
    topic; for the former the column 'upload' of the list has PARTITION:OFFSET.

    [bold]Examples[/]

      modstream dead-letters skip images.uploaded:3:17

      modstream dead-letters skip images.uploaded:3:17 --why 'crashes the engine, see issue 12' --execute

    [bold]Exit codes[/]  0 skipped, or would be · 1 cannot be skipped · 2 wrong arguments or settings
    """
    found = _PLACE.fullmatch(place)
    if found is None:
        raise fail(
            f"{place}: a record is named topic:partition:offset, such as images.uploaded:3:17", code=ExitCode.USAGE
        )
    if execute and not (why or "").strip():
        raise fail("--execute needs --why: give the reason, which is kept", code=ExitCode.USAGE)
    settings = settings_of(config)
    partition, offset = Partition(found[1], int(found[3])), int(found[4])
    with errors_shown():
        skipped = asyncio.run(_skip(settings, partition, offset, why if execute else None))
    words = "skipped" if execute else "would be skipped (dry run: --execute does it)"
    Console(highlight=False, soft_wrap=True, emoji=False).print(
        f"{skipped.place} {words}: {_described(skipped)}", markup=False
    )


async def _skip(settings: Settings, partition: Partition, offset: int, why: str | None) -> "Skippable":
    from service.delivery.skip import Skipper  # noqa: PLC0415 - the help need not load it
    from service.events.raw_event import tenant_of  # noqa: PLC0415 - as above

    skipper = Skipper(settings, tenant_of=tenant_of)
    found = await skipper.find(partition, offset)
    if why is not None:
        await skipper.skip(found, by=who(), why=why, at=datetime.now(UTC))
    return found


def _described(found: "Skippable") -> str:
    record = found.record
    if record.unreadable is not None:
        return f"it cannot be read: {record.unreadable.detail}"
    return f"key {(record.key or b'')!r}, {len(record.value or b'')} bytes"
