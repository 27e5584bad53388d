"""`modstream keys`: makes, lists and revokes the keys of the HTTP API."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, cast

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from service.api.callers.api_keys import KEY_PATTERN, ApiKeys, KeyEntry, NewKey, new_key
from service.api.callers.keys_editing import add_key, entry_yaml, revoke_key
from service.api.callers.keys_file import check_keys
from service.api.callers.scopes import SCOPES, Scope
from service.cli.as_json import as_json
from service.cli.exits import ExitCode
from service.cli.options import ConfigOption, complain, error_console, errors_shown, fail, load_or_exit
from service.core.validation_text import placed_text_of
from service.tools.demo.fitted_table import Column, print_table

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke the keys of the HTTP API.")

_DURATION = re.compile(r"([1-9][0-9]{0,4})([hdwy])")
_HOURS = {"h": 1, "d": 24, "w": 168, "y": 8766}

FileOption = Annotated[
    Path | None,
    typer.Option("--file", "-f", metavar="FILE", help="The keys file. Default: the setting api.keys_file."),
]


@app.command()
def create(
    *,
    tenant: Annotated[
        str, typer.Option(metavar="NAME", help="Tenant of everything that is sent with the key.")
    ] = "default",
    scopes: Annotated[
        str, typer.Option(metavar="LIST", help=f"What the key allows, between commas: {', '.join(SCOPES)}.")
    ] = "moderate,chat,read",
    expires: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Until when the key is accepted: 12h, 90d, 8w, 1y, or 2027-01-31T00:00:00Z."),
    ] = None,
    key_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Names the key in logs. Default: ten random letters.")
    ] = None,
    requests_per_s: Annotated[
        float | None, typer.Option(metavar="N", help="Limit of requests to one process, on average.")
    ] = None,
    images_per_s: Annotated[
        float | None, typer.Option(metavar="N", help="Limit of images sent to one process, on average.")
    ] = None,
    burst: Annotated[
        int | None,
        typer.Option(metavar="N", help="Requests, and images, that may come at once. Default: those of 1 s."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", metavar="FILE", help="Keys file to add the key to. Made if it is missing."),
    ] = None,
) -> None:
    """Make a key and print it once; the keys file holds its hash.

    Without --file the command prints the entry as well, to add to the file that the setting api.keys_file names. A
    running service accepts the key two seconds after its file has changed.

    [bold]Scopes[/]  moderate: moderations, verdicts, tags, batches · chat: chat completions · read: stored verdicts,
    policies · tenants: all of these for any tenant

    [bold]Examples[/]

      modstream keys create --file keys.yaml

      modstream keys create --tenant shop --scopes moderate,read --expires 90d --file keys.yaml

      KEY=$(modstream keys create --file keys.yaml)

    [bold]Exit codes[/]  0 made · 1 the file cannot be changed · 2 wrong arguments
    """
    until = _moment(expires, datetime.now(UTC)) if expires is not None else None
    chosen = tuple(part.strip() for part in scopes.split(",") if part.strip())
    try:
        made = new_key(
            key_id=key_id,
            tenant=tenant,
            scopes=cast("tuple[Scope, ...]", chosen),
            expires=until,
            requests_per_s=requests_per_s,
            images_per_s=images_per_s,
            burst=burst,
        )
    except ValidationError as error:
        for fault in error.errors():
            complain(placed_text_of(fault))
        raise typer.Exit(ExitCode.USAGE) from None
    _keep(made, file)


def _keep(made: NewKey, file: Path | None) -> None:
    """Print a new key, after its entry is where it belongs."""
    if file is not None:
        with errors_shown():
            add_key(file, made.entry)
    typer.echo(made.text)
    if file is not None:
        _remark(f"{made.entry.id} is added to {file}. The key is not shown again: store it where its user finds it.")
        return
    typer.echo(f"\n{entry_yaml(made.entry)}", nl=False)
    _remark("The first line is the key, which is not shown again; add the others to the file of api.keys_file.")


@app.command(name="list")
def list_keys(
    file: FileOption = None,
    config: ConfigOption = None,
    *,
    as_json_text: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a keys file, and show its keys: tenants, scopes, limits, and which are accepted at present.

    [bold]Examples[/]

      modstream keys list --file keys.yaml

      modstream keys list -c modstream.yaml

    [bold]Exit codes[/]  0 the file is right · 1 it is not: every problem is listed · 2 wrong arguments or settings
    """
    keys = _read(_file(file, config))
    if as_json_text:
        entries = [entry.model_dump(mode="json", exclude={"sha256"}) for entry in keys.by_id.values()]
        typer.echo(as_json([{**entry, "state": _state(keys.by_id[entry["id"]])} for entry in entries]))
    else:
        print_table(Console(), _columns(list(keys.by_id.values())))


@app.command()
def revoke(
    key_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the key, as 'keys list' shows it, or the whole key.")
    ],
    file: FileOption = None,
    config: ConfigOption = None,
) -> None:
    """Revoke a key: a running service refuses it two seconds later. The entry stays, so that logs can name it.

    To replace a key without a gap, create the new one, give it to its user, and revoke the old one after that.

    [bold]Examples[/]

      modstream keys revoke qwhzkxbdfa --file keys.yaml

    [bold]Exit codes[/]  0 revoked · 1 no such key, or the file cannot be changed · 2 wrong arguments or settings
    """
    path = _file(file, config)
    if whole := re.fullmatch(KEY_PATTERN, key_id):  # of a leaked key the id may not be known otherwise
        key_id = whole[1]
    with errors_shown():
        revoke_key(path, key_id, datetime.now(UTC))
    _remark(f"{key_id} is revoked in {path}.")


def _file(file: Path | None, config: Path | None) -> Path:
    path = file or load_or_exit(config).settings.api.keys_file
    if path is None:
        raise fail("name the keys file by --file, or by the setting api.keys_file", code=ExitCode.USAGE)
    return path


def _read(path: Path) -> ApiKeys:
    """Return the keys of a file, or end the command with all of its problems."""
    checked = check_keys(path)
    for problem in checked.problems:
        complain("{path}:{line}: {detail}".format_map(problem.facts))
    if checked.found is None:
        raise typer.Exit(ExitCode.FAILED)
    return checked.found


def _moment(text: str, now: datetime) -> datetime:
    """Return when a key expires: a moment, or a time from now."""
    try:
        found = _DURATION.fullmatch(text)
        moment = now + timedelta(hours=int(found[1]) * _HOURS[found[2]]) if found else datetime.fromisoformat(text)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise fail(
            f"--expires {text} cannot be read; it is given as 12h, 90d, 8w, 1y, or 2027-01-31T00:00:00Z",
            code=ExitCode.USAGE,
        ) from None
    if moment <= now:
        raise fail(f"--expires {text} is past: such a key would never be accepted", code=ExitCode.USAGE)
    return moment


def _columns(entries: Sequence[KeyEntry]) -> list[Column]:
    return [
        Column("id", cells=[Text(entry.id) for entry in entries]),
        Column("state", cells=[Text(_state(entry)) for entry in entries]),
        Column("tenant", folds_at=20, cells=[Text(entry.tenant) for entry in entries]),
        Column("scopes", folds_at=20, cells=[Text(", ".join(entry.scopes)) for entry in entries]),
        Column("expires", rank=1, cells=[Text(_day(entry.expires)) for entry in entries]),
        Column("limits", rank=2, cells=[Text(_limits(entry)) for entry in entries]),
    ]


def _state(entry: KeyEntry) -> str:
    now = datetime.now(UTC)
    if entry.revoked is not None and entry.revoked <= now:
        return "revoked"
    return "expired" if entry.expires is not None and entry.expires <= now else "accepted"


def _day(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M}Z"


def _limits(entry: KeyEntry) -> str:
    limits = ((entry.requests_per_s, "requests/s"), (entry.images_per_s, "images/s"))
    return ", ".join(f"{limit:g} {what}" for limit, what in limits if limit is not None) or "none"


def _remark(text: str) -> None:
    """Print what is for people alone: standard output is the key."""
    error_console().print(text, markup=False, highlight=False)
