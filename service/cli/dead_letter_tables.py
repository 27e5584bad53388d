"""Dead letters, and what a re-drive or a discard did, as tables and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from service.telemetry.plain_text import one_line
from service.telemetry.redaction import clean_text
from service.tools.dead_letters.dead_letter import StoredDeadLetter
from service.tools.dead_letters.groups import Group
from service.tools.dead_letters.journal import JournalEntry, State, state_of
from service.tools.demo.fitted_table import Column

if TYPE_CHECKING:
    from service.tools.dead_letters.run import RunResult


MAX_GROUPS = 200
"""Of the most frequent failures in a table; `--json` has all of them."""

_KEY_WIDTH = 40
"""Longer keys go on in further lines where the terminal is narrow."""
_MESSAGE_WIDTH = 20
"""Of a message where the terminal is narrow; `show` has all of it."""

_COLOURS = {State.OPEN: "red", State.REDRIVEN: "green", State.DISCARDED: "dim"}


def dead_letter_columns(
    rows: Sequence[tuple[StoredDeadLetter, JournalEntry | None]], *, with_state: bool
) -> list[Column]:
    """Return the columns of a table with a line for each dead letter; place, reason and key are never left out."""
    columns = [
        Column("letter"),
        Column("failed at (UTC)", rank=1),
        Column("reason"),
        Column("tenant", rank=3),
        Column("key", folds_at=_KEY_WIDTH),
        Column("upload", rank=2),
        Column("tries", rank=4),
        *([Column("state")] if with_state else []),
        Column("message", rank=5, cut_at=_MESSAGE_WIDTH),
    ]
    for dead_letter, mark in rows:
        state = state_of(mark)
        cells = [
            Text(dead_letter.place),
            Text(f"{dead_letter.failed_at:%Y-%m-%d %H:%M:%S}"),
            _text(dead_letter.reason, style="magenta"),
            _text(dead_letter.tenant or "?"),
            _text(dead_letter.key),
            Text(_origin(dead_letter)),
            Text(_tries(dead_letter)),
            *([Text(state, style=_COLOURS[state])] if with_state else []),
            _text(dead_letter.message),
        ]
        _add(columns, cells)
    return columns


def group_columns(groups: Sequence[Group]) -> list[Column]:
    """Return the columns of a table with a line for each kind of failure, the most frequent ones."""
    columns = [
        Column("fingerprint"),
        Column("count", justify="right"),
        Column("first (UTC)", rank=3),
        Column("last (UTC)", rank=2),
        Column("reason"),
        Column("example"),
        Column("message", rank=1, folds_at=_MESSAGE_WIDTH),
    ]
    for group in groups[:MAX_GROUPS]:
        cells = [
            Text(group.fingerprint),
            Text(f"{group.count:,}"),
            Text(f"{group.first:%Y-%m-%d %H:%M:%S}"),
            Text(f"{group.last:%Y-%m-%d %H:%M:%S}"),
            _text(group.reason, style="magenta"),
            Text(group.example),
            _text(group.message),
        ]
        _add(columns, cells)
    return columns


def dead_letter_json(dead_letter: StoredDeadLetter, mark: JournalEntry | None) -> dict[str, object]:
    """Return a dead letter's fields without its event."""
    record, origin = dead_letter.record, dead_letter.origin
    return {
        "letter": dead_letter.place,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "failed_at": dead_letter.failed_at.isoformat(),
        "reason": dead_letter.reason,
        "message": dead_letter.message,
        "error_class": dead_letter.error_class,
        "fingerprint": dead_letter.fingerprint,
        "tenant": dead_letter.tenant,
        "key": dead_letter.key,
        "origin": asdict(origin) if origin else None,
        "attempts": dead_letter.attempts,
        "redrives": dead_letter.redrives,
        "truncated": dead_letter.truncated or None,
        "trace_id": dead_letter.trace_id or None,
        "state": state_of(mark),
        "mark": {"at": mark.at.isoformat(), "by": mark.by, "why": mark.why or None} if mark else None,
    }


def _add(columns: Sequence[Column], cells: Sequence[Text]) -> None:
    for column, cell in zip(columns, cells, strict=True):
        column.cells.append(cell)


def _text(text: str, *, style: str = "") -> Text:
    """Return a stranger's text on one line, unable to steer the terminal."""
    return Text(one_line(clean_text(text)), style=style)


def _origin(dead_letter: StoredDeadLetter) -> str:
    return f"{dead_letter.origin.partition}:{dead_letter.origin.offset}" if dead_letter.origin else "?"


def _tries(dead_letter: StoredDeadLetter) -> str:
    return f"{dead_letter.attempts}" + (f", sent back {dead_letter.redrives}×" if dead_letter.redrives else "")


_MAX_REASONS = 60
"""The service has fewer; others may write into the topic, too."""


def print_result(console: Console, result: "RunResult", words: str) -> None:
    """Print the counts of a run, and the reasons of refusals."""
    console.print(f"{result.done:,} dead {'letter' if result.done == 1 else 'letters'} {words}")
    for reason, count in result.reasons.most_common(_MAX_REASONS):
        console.print(Text(f"  {count:>9,}  {one_line(reason)}"))
    if len(result.reasons) > _MAX_REASONS:
        console.print(f"  and {len(result.reasons) - _MAX_REASONS:,} more reasons, of which the service has fewer")
    if before := sum(count for times, count in result.redrives.items() if times):
        console.print(f"{before:,} of them were sent back before, up to {max(result.redrives)} times, and failed again")
    if result.done_before:
        console.print(f"{result.done_before:,} were dealt with before, and are left alone")
    if result.limit_reached:
        console.print("there are more: --limit was reached")
    if result.refused:
        console.print(f"[bold red]{result.refused:,} cannot be sent back[/]{_first(result)}")
    for dead_letter, why in result.refused_shown:
        console.print(Text(f"  {dead_letter.place:>12}  {one_line(why)}"), soft_wrap=True)


def result_json(result: "RunResult") -> dict[str, object]:
    """Return the counts of a run for JSON."""
    return {
        "done": result.done,
        "reasons": dict(result.reasons),
        "redriven_before": {times: count for times, count in result.redrives.items() if times},
        "done_before": result.done_before,
        "limit_reached": result.limit_reached,
        "refused": result.refused,
        "refused_shown": [{"letter": dead_letter.place, "why": why} for dead_letter, why in result.refused_shown],
    }


def _first(result: "RunResult") -> str:
    shown = len(result.refused_shown)
    return f"; the first {shown}:" if shown < result.refused else ":"
