"""`modstream watch`: follows what the service publishes."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Annotated, Protocol

import typer
from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.cli.as_json import as_json_line
from service.cli.options import ConfigOption, errors_shown, load_or_exit
from service.client.outcomes import DeadLetter, Outcome, as_json, key_of, outcome_of
from service.core.records import SourceRecord
from service.settings.settings import Settings
from service.telemetry.plain_text import one_line
from service.tools.demo.fitted_table import fitted_table
from service.tools.demo.tables import verdict_columns, verdict_row

# How soon Ctrl-C and the end of `--count` are noticed.
POLL_S = 0.5
# Lines that the table's title and head take.
TABLE_FRAME_LINES = 4


class Display(Protocol):
    """Shows outcomes as they are published."""

    def show(self, record: SourceRecord, outcome: Outcome) -> None:
        """Show one more outcome."""
        ...


def watch(
    config: ConfigOption = None,
    *,
    lines: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, for scripts.")] = False,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Include outcomes that exist already. Default: new ones only.")
    ] = False,
    count: Annotated[int | None, typer.Option(min=1, help="End after this number of outcomes.")] = None,
) -> None:
    """Follow verdicts, tags and dead letters as they are published, until Ctrl-C.

    [bold]Examples[/]

      modstream watch -c modstream.yaml

      modstream watch --json --from-beginning | jq 'select(.kind == "dead_letter")'

    [bold]Exit codes[/]  0 ended by --count · 1 the brokers do not answer · 2 wrong settings · 130 ended by Ctrl-C
    """
    settings = load_or_exit(config).settings
    console = Console()
    with errors_shown():
        if lines or not console.is_terminal:
            asyncio.run(_follow(settings, _JsonLines(), from_beginning=from_beginning, count=count))
            return
        with Live(console=console, auto_refresh=True, vertical_overflow="crop") as live:
            display = _LiveTable(live, rows=console.height - TABLE_FRAME_LINES)
            asyncio.run(_follow(settings, display, from_beginning=from_beginning, count=count))


async def _follow(settings: Settings, display: Display, *, from_beginning: bool, count: int | None) -> None:
    """Show outcomes until so many were shown."""
    from service.kafka.reader import open_reader  # noqa: PLC0415 - the help need not load it

    topics = settings.topics.outcomes()
    seen = 0
    async with open_reader(settings.kafka, topics, start="beginning" if from_beginning else "end") as reader:
        while True:
            for record in await reader.read(timeout_s=POLL_S):
                outcome = outcome_of(record, settings.topics)
                if outcome is None:
                    continue
                display.show(record, outcome)
                seen += 1
                if seen == count:
                    return


class _JsonLines:
    """Writes one object a line."""

    def show(self, record: SourceRecord, outcome: Outcome) -> None:
        """Write it at once, also into a pipe."""
        typer.echo(as_json_line(as_json(record, outcome)))


class _LiveTable:
    """Keeps the newest verdicts and dead letters on the screen; tags join the verdict of their image."""

    def __init__(self, live: Live, *, rows: int) -> None:
        self._live = live
        self._shown: deque[tuple[str, VerdictV1 | DeadLetter]] = deque(maxlen=max(rows, 1))
        self._tags: dict[str, TagsV1] = {}
        self._total = 0

    def show(self, record: SourceRecord, outcome: Outcome) -> None:
        """Draw the table anew."""
        key = key_of(record)
        if isinstance(outcome, TagsV1):
            self._tags[key] = outcome
        else:
            self._total += 1
            self._shown.append((key, outcome))
        # Tags are kept for what is on the screen, and for verdicts that may come right behind them.
        if len(self._tags) > 4 * (self._shown.maxlen or 1):
            self._tags.pop(next(iter(self._tags)))
        self._live.update(self._table())

    def _table(self) -> RenderableType:
        """Return the newest outcomes that fit the screen; a long name takes several lines."""
        shown = list(self._shown)
        table = self._table_of(shown)
        while len(shown) > 1 and len(self._live.console.render_lines(table)) > self._live.console.height:
            shown = shown[1:]
            table = self._table_of(shown)
        return table

    def _table_of(self, shown: Sequence[tuple[str, VerdictV1 | DeadLetter]]) -> Table:
        columns = verdict_columns(self._row(key, outcome) for key, outcome in shown)
        title = f"{self._total} verdicts and dead letters"
        return fitted_table(columns, width=self._live.console.width, title=title)

    def _row(self, key: str, outcome: VerdictV1 | DeadLetter) -> tuple[Text, ...]:
        if isinstance(outcome, VerdictV1):
            return verdict_row(key, outcome, self._tags.get(key))
        reason = Text(one_line(outcome.reason), style="magenta")
        return Text(one_line(key)), Text("dead", style="bold magenta"), reason, Text(), Text()
