"""`modstream top`: a live view of the service, from its metrics endpoints."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live

from service.cli.as_json import as_json, as_json_line
from service.cli.exits import ExitCode
from service.cli.options import ConfigOption, errors_shown, fail, load_or_exit
from service.settings.monitoring import MonitoringSettings

if TYPE_CHECKING:
    from service.tools.top.figures import Figures

# Addresses to listen on that are no address to ask.
EVERYWHERE = {"0.0.0.0", "::", ""}  # noqa: S104 - compared with, not listened on


def top(
    config: ConfigOption = None,
    *,
    url: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="A process, such as host:9464; repeatable. Default: the address in the settings.",
        ),
    ] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two scrapes.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Scrape twice, print one frame and end.")] = False,
    lines: Annotated[bool, typer.Option("--json", help="Print one JSON object a scrape, for scripts.")] = False,
) -> None:
    """Show rate, lag, window, stages, engine and errors of running processes, until Ctrl-C.

    Rates are computed over the last ten seconds.

    [bold]Examples[/]

      modstream top

      modstream top --url host-1:9464 --url host-2:9464

      modstream top --once --json | jq .lag

    [bold]Exit codes[/]  0 ended by --once · 1 nothing answers · 2 wrong settings · 130 ended by Ctrl-C
    """
    from service.cli.top_screen import screen  # noqa: PLC0415 - the help need not load it
    from service.tools.top.scrape import metrics_url  # noqa: PLC0415 - as above
    from service.tools.top.watch import watching  # noqa: PLC0415 - as above

    addresses = url or [_own(load_or_exit(config).settings.monitoring)]
    urls = [metrics_url(address) for address in addresses]
    console = Console()
    looks = watching(urls, every_s=interval)
    with errors_shown():
        if once or not (console.is_terminal or lines):
            asyncio.run(_once(looks, _as_document if lines else console_printer(console)))
        elif lines:
            asyncio.run(_follow(looks, lambda seen: typer.echo(as_json_line(seen))))
        else:
            with Live(console=console, screen=True, auto_refresh=False) as live:
                asyncio.run(_follow(looks, lambda seen: live.update(screen(seen), refresh=True)))


def console_printer(console: Console) -> "Callable[[Figures], None]":
    """Return a function that prints a frame."""
    from service.cli.top_screen import screen  # noqa: PLC0415 - the help need not load it

    return lambda seen: console.print(screen(seen))


def _as_document(seen: "Figures") -> None:
    typer.echo(as_json(seen))


async def _once(looks: "AsyncIterator[Figures]", show: "Callable[[Figures], None]") -> None:
    """Show the second scrape: rates need two."""
    await anext(looks)
    seen = await anext(looks)
    if not seen.processes:
        raise fail("; ".join(f"{url}: {why}" for url, why in seen.unreadable.items()))
    show(seen)


async def _follow(looks: "AsyncIterator[Figures]", show: "Callable[[Figures], None]") -> None:
    async for seen in looks:
        show(seen)


def _own(settings: MonitoringSettings) -> str:
    """Return the address at which a process with these settings answers on this machine."""
    if settings.port == 0:
        raise fail("monitoring.port is 0, so there is no endpoint; name one with --url", code=ExitCode.USAGE)
    host = "127.0.0.1" if settings.host in EVERYWHERE else settings.host
    return f"{host}:{settings.port}"
