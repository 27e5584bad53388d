"""The options of `modstream dead-letters` that select dead letters, and the store that the commands read."""

import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from service.cli.exits import ExitCode
from service.cli.options import fail, load_or_exit
from service.settings.settings import Settings
from service.tools.dead_letters.filters import DeadLetterFilter, parse_moment, parse_offsets

if TYPE_CHECKING:
    from service.tools.dead_letters.store import DeadLetterStore


Parsed = TypeVar("Parsed")

PANEL = "Which dead letters"

_MOMENTS = "2026-05-04T03:00Z, 2026-05-04 (UTC), or how long ago: 90s, 30m, 2h, 7d"
_OFFSETS = "17, 17..42 with both ends, or 17.."


def chosen(
    *,
    reason: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=PANEL, metavar="CODE", help="A reason code, or a pattern such as 'image.*'; repeatable."
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=PANEL,
            metavar="TIME",
            help="Failed since this time: ISO 8601 (UTC without a zone), or 90s, 30m, 2h, 7d ago.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(rich_help_panel=PANEL, metavar="TIME", help="Failed before this time, in the same forms."),
    ] = None,
    tenant: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=PANEL, metavar="NAME", help="The event's tenant, if the event can be read; repeatable."
        ),
    ] = None,
    fingerprint: Annotated[
        str,
        typer.Option(
            rich_help_panel=PANEL,
            metavar="HEX",
            help="The kind of failure, as 'stats' shows it; the first characters are enough.",
        ),
    ] = "",
    partition: Annotated[
        list[int] | None,
        typer.Option(rich_help_panel=PANEL, min=0, metavar="P", help="Partition of the dead-letter topic; repeatable."),
    ] = None,
    offset: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=PANEL,
            metavar="O",
            help="Offset in the dead-letter topic: 17, 17..42 (both included) or 17.. .",
        ),
    ] = None,
    origin_partition: Annotated[
        list[int] | None,
        typer.Option(
            rich_help_panel=PANEL, min=0, metavar="P", help="Partition of the upload in its own topic; repeatable."
        ),
    ] = None,
    origin_offset: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=PANEL, metavar="O", help="Offset of the upload in its own topic, in the forms of --offset."
        ),
    ] = None,
) -> DeadLetterFilter:
    """Return the filter of the given options, or end the command if one cannot be read."""
    now = datetime.now(UTC)
    return DeadLetterFilter(
        reasons=tuple(reason or ()),
        since=_read("--since", since, lambda text: parse_moment(text, now), _MOMENTS),
        until=_read("--until", until, lambda text: parse_moment(text, now), _MOMENTS),
        tenants=tuple(tenant or ()),
        partitions=frozenset(partition or ()),
        offsets=_read("--offset", offset, parse_offsets, _OFFSETS),
        origin_partitions=frozenset(origin_partition or ()),
        origin_offsets=_read("--origin-offset", origin_offset, parse_offsets, _OFFSETS),
        fingerprint=fingerprint.lower(),
    )


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options above instead of its parameter `wanted`."""
    options = inspect.signature(chosen).parameters
    own = inspect.signature(command).parameters

    @wraps(command)
    def with_filter(**values: object) -> None:
        options_given = {name: values.pop(name) for name in options}
        command(**values, wanted=chosen(**options_given))  # type: ignore[arg-type]  # typer has checked the types

    parameters = [*(each for each in own.values() if each.name != "wanted"), *options.values()]
    keyword_only = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    with_filter.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]  # typer reads it
    with_filter.__annotations__ = {each.name: each.annotation for each in keyword_only}
    return with_filter


def _read(option: str, text: str | None, parse: Callable[[str], Parsed], forms: str) -> Parsed | None:
    if text is None:
        return None
    try:
        return parse(text)
    except (ValueError, OverflowError):
        raise fail(f"{option} {text} cannot be read; it is given as {forms}", code=ExitCode.USAGE) from None


def settings_of(config: Path | None) -> Settings:
    """Return the settings, or end the command with their problems."""
    return load_or_exit(config).settings


def store_of(context: typer.Context, settings: Settings) -> "DeadLetterStore":
    """Return the store on Kafka, unless the caller of the command brought another."""
    if context.obj is not None:
        store: DeadLetterStore = context.obj
        return store
    from service.tools.dead_letters.store import KafkaDeadLetterStore  # noqa: PLC0415 - the help need not load it

    return KafkaDeadLetterStore(settings)
