"""`modstream dead-letters`: find out what failed, and send it back."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from service.cli.as_json import as_json, as_json_line
from service.cli.dead_letter_actions import discard, redrive
from service.cli.dead_letter_filters import filtered, settings_of, store_of
from service.cli.dead_letter_page import page_json, print_page
from service.cli.dead_letter_skip import skip
from service.cli.dead_letter_tables import MAX_GROUPS, dead_letter_columns, dead_letter_json, group_columns
from service.cli.exits import ExitCode
from service.cli.options import ConfigOption, errors_shown, fail
from service.tools.dead_letters.dead_letter import StoredDeadLetter, read_dead_letter
from service.tools.dead_letters.filters import DeadLetterFilter
from service.tools.dead_letters.groups import Groups, Newest
from service.tools.dead_letters.journal import Marks
from service.tools.demo.fitted_table import print_table

if TYPE_CHECKING:
    from service.tools.dead_letters.store import DeadLetterStore

_PLACE = re.compile(r"(\d{1,9}):(\d{1,18})")

AllOption = Annotated[bool, typer.Option("--all", help="Include those that were sent back or discarded.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

app = typer.Typer(
    no_args_is_help=True,
    help="""Find out what failed, and send it back once the cause is fixed.

    [bold]Use them in this order[/]

      modstream dead-letters stats                              count failures by kind

      modstream dead-letters list --reason 'image.*'            list records

      modstream dead-letters show 3:17                          show one record completely

      modstream dead-letters redrive --reason image.not_found   print what would be sent

      modstream dead-letters redrive --reason image.not_found --execute   send it
    """,
)
app.command()(redrive)
app.command()(discard)
app.command()(skip)


@app.command("list")
@filtered
def list_dead_letters(
    context: typer.Context,
    wanted: DeadLetterFilter,
    config: ConfigOption = None,
    *,
    limit: Annotated[int, typer.Option(min=1, help="Number of dead letters, the newest ones.")] = 50,
    everything: AllOption = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, for scripts.")] = False,
) -> None:
    """List the open dead letters, the newest last.

    With --all the list includes those that were sent back or discarded. The column 'letter' is the place of the dead
    letter in its topic, partition:offset; 'upload' is the place of the failed record in the topic of uploads.

    [bold]Examples[/]

      modstream dead-letters list --since 2h

      modstream dead-letters list --reason 'fetch.*' --tenant shop --limit 1000 --json

    [bold]Exit codes[/]  0 listed · 1 no brokers answer, or the topic is missing · 2 wrong arguments or settings
    """
    with errors_shown():
        newest, marks = asyncio.run(
            _newest(store_of(context, settings_of(config)), wanted, limit, everything=everything)
        )
    rows = [(dead_letter, marks.of(dead_letter)) for dead_letter in newest.oldest_first()]
    if json:
        for dead_letter, mark in rows:
            typer.echo(as_json_line(dead_letter_json(dead_letter, mark)))
        return
    console = Console()
    print_table(console, dead_letter_columns(rows, with_state=everything))
    console.print(
        f"\n{len(rows)} of {newest.seen:,} dead letters{'' if everything else ' that are open'}", highlight=False
    )


@app.command()
@filtered
def stats(
    context: typer.Context,
    wanted: DeadLetterFilter,
    config: ConfigOption = None,
    *,
    everything: AllOption = False,
    json: JsonOption = False,
) -> None:
    """Count dead letters by the kind of their failure, the most frequent first.

    A fingerprint is computed from the reason, the kind of the error, its message without numbers, ids and quoted texts,
    and the place in the code. The other commands accept it: --fingerprint 3f0c.

    [bold]Examples[/]

      modstream dead-letters stats --since 24h

      modstream dead-letters stats --tenant shop --json

    [bold]Exit codes[/]  0 counted · 1 no brokers answer, or the topic is missing · 2 wrong arguments or settings
    """
    with errors_shown():
        groups = asyncio.run(_groups(store_of(context, settings_of(config)), wanted, everything=everything))
    ordered = groups.largest_first()
    if json:
        for group in ordered:
            typer.echo(as_json_line(group))
        return
    console = Console()
    print_table(console, group_columns(ordered))
    if len(ordered) > MAX_GROUPS:
        console.print(f"and {len(ordered) - MAX_GROUPS:,} more kinds")
    total = sum(group.count for group in ordered)
    console.print(f"\n{total:,} dead letters of {len(ordered)} kinds", highlight=False)


@app.command()
def show(
    context: typer.Context,
    place: Annotated[str, typer.Argument(metavar="P:O", help="Partition and offset in the dead-letter topic.")],
    config: ConfigOption = None,
    *,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show the queries of URLs, which may hold a valid signature.")
    ] = False,
    trace_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="URL of a trace, with {trace_id}. Default: the setting telemetry.trace_url."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show one dead letter: event, error, stack, headers, and the link to its trace.

    The event comes from an uploader: its captions are shown, URLs without their queries, and the size of image bytes.

    [bold]Examples[/]

      modstream dead-letters show 3:17

      modstream dead-letters show 3:17 --trace-url 'http://jaeger:16686/trace/{trace_id}'

    [bold]Exit codes[/]  0 shown · 1 no such dead letter, or the brokers do not answer · 2 wrong arguments or settings
    """
    found = _PLACE.fullmatch(place)
    if found is None:
        raise fail(f"{place}: a dead letter is named partition:offset, such as 3:17", code=ExitCode.USAGE)
    settings = settings_of(config)
    partition, offset = int(found[1]), int(found[2])
    wanted = DeadLetterFilter(partitions=frozenset({partition}), offsets=range(offset, offset + 1))
    with errors_shown():
        newest, marks = asyncio.run(_newest(store_of(context, settings), wanted, 1, everything=True))
    dead_letters = newest.oldest_first()
    if not dead_letters:
        raise fail(f"no dead letter is at {place}: never written, or deleted by the brokers since")
    template = trace_url or settings.telemetry.trace_url
    dead_letter, mark = dead_letters[0], marks.of(dead_letters[0])
    if json:
        typer.echo(as_json(page_json(dead_letter, mark, reveal=reveal, trace_url=template)))
    else:
        print_page(Console(highlight=False), dead_letter, mark, reveal=reveal, trace_url=template)


async def _newest(
    store: "DeadLetterStore", wanted: DeadLetterFilter, limit: int, *, everything: bool
) -> tuple[Newest, Marks]:
    marks, newest = await store.marks(), Newest(limit)
    async for dead_letter in _dead_letters(store, wanted, marks, everything=everything):
        newest.add(dead_letter)
    return newest, marks


async def _groups(store: "DeadLetterStore", wanted: DeadLetterFilter, *, everything: bool) -> Groups:
    groups = Groups()
    async for dead_letter in _dead_letters(store, wanted, await store.marks(), everything=everything):
        groups.add(dead_letter)
    return groups


async def _dead_letters(
    store: "DeadLetterStore", wanted: DeadLetterFilter, marks: Marks, *, everything: bool
) -> AsyncIterator[StoredDeadLetter]:
    async with store.read(wanted) as snapshot:
        async for records in snapshot.batches():
            for dead_letter in map(read_dead_letter, records):
                if wanted.matches(dead_letter) and (everything or marks.of(dead_letter) is None):
                    yield dead_letter
