"""`modstream send`: publishes upload events, as an upload service would."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, get_args

import typer
from rich.console import Console
from rich.progress import track

from schemas.base import Task
from service.cli.exits import ExitCode
from service.cli.options import ConfigOption, complain, error_console, errors_shown, fail, load_or_exit
from service.cli.targets import left_out_in_words, uploads_or_exit
from service.client.upload_events import UploadOptions


def send(
    targets: Annotated[
        list[str], typer.Argument(metavar="PATH-or-URL…", help="Files, folders, or URLs: http(s), s3, file.")
    ],
    config: ConfigOption = None,
    *,
    references: Annotated[
        bool,
        typer.Option("--by-reference", help="Send file:// URLs of files instead of the files themselves."),
    ] = False,
    task: Annotated[
        list[str] | None, typer.Option(help="Requested outcome: moderation (the default) or tags; repeatable.")
    ] = None,
    tenant: Annotated[str, typer.Option(help="The tenant whose rules apply.")] = "default",
    policy: Annotated[str | None, typer.Option(help="Name of a policy. Default: the tenant's.")] = None,
    caption: Annotated[str | None, typer.Option(help="Text shown with the image.")] = None,
    context: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Returned in the outcomes; repeatable.")
    ] = None,
) -> None:
    """Publish an upload event for each image.

    An event contains the file if it is small enough, or a reference if the service can read the file (setting
    media.fetch.file_root). URLs are always sent as references. Folders include their sub-folders. A file that cannot
    be used is left out with a line that gives the reason; the others are sent.

    [bold]Examples[/]

      modstream send photo.jpg

      modstream send https://cdn.example.com/42.jpg --task moderation --task tags

      modstream send ~/Pictures --by-reference --tenant shop --context album=7

    [bold]Exit codes[/]  0 all images were sent · 1 some or all were not · 2 no image, wrong arguments or settings
    """
    from service.client.sender import UploadSender  # noqa: PLC0415 - the help need not load it

    settings = load_or_exit(config).settings
    options = _options(task or ["moderation"], tenant, policy, caption, context or [])
    found = uploads_or_exit(targets, options)
    sender = UploadSender(settings, options, references=references, complain=complain)
    console = error_console()
    with errors_shown():
        shown = track(found.uploads, "sending", console=console, transient=True, disable=not console.is_terminal)
        sent = asyncio.run(sender.send(shown))
    left_out = left_out_in_words(len(found.unusable))
    words = f"sent {sent} of {len(found.uploads)} events to {settings.topics.uploads}{left_out}"
    Console(soft_wrap=True).print(words, highlight=False)
    raise typer.Exit(ExitCode.OK if sent == len(found.uploads) and found.is_complete else ExitCode.FAILED)


def _options(
    tasks: Sequence[str], tenant: str, policy: str | None, caption: str | None, context: Sequence[str]
) -> UploadOptions:
    known: dict[str, Task] = {name: name for name in get_args(Task)}
    if unknown := [name for name in tasks if name not in known]:
        raise fail(f"--task {unknown[0]}: allowed are {', '.join(known)}", code=ExitCode.USAGE)
    if wrong := [entry for entry in context if "=" not in entry]:
        raise fail(f"--context {wrong[0]}: write KEY=VALUE", code=ExitCode.USAGE)
    entries = dict(entry.split("=", 1) for entry in context)
    return UploadOptions(tuple(known[name] for name in tasks), tenant, policy, caption, entries)
