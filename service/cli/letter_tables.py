"""Dead letters as tables and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from service.letters.groups import Group
from service.letters.letter import Letter
from service.letters.marks import Mark, State, state_of
from service.telemetry.plain_text import one_line
from service.telemetry.redaction import clean_text

_MAX_MESSAGE_CHARS = 60
"""Of a message in a table; `show` has all of it."""

_MAX_GROUPS = 200
"""Of the most frequent failures; `--json` has all of them."""

_COLOURS = {State.OPEN: "red", State.REDRIVEN: "green", State.DISCARDED: "dim"}


def letters_table(rows: Sequence[tuple[Letter, Mark | None]], *, with_state: bool) -> Table:
    """Return a table with a line for each letter."""
    table = _table("letter", "failed at (UTC)", "reason", "tenant", "key", "upload", "tries")
    if with_state:
        table.add_column("state")
    table.add_column("message", overflow="ellipsis", no_wrap=True)
    for letter, mark in rows:
        state = state_of(mark)
        cells = [
            Text(letter.place, no_wrap=True),
            Text(f"{letter.failed_at:%Y-%m-%d %H:%M:%S}"),
            _text(letter.reason, style="magenta"),
            _text(letter.tenant or "?"),
            _text(letter.key),
            Text(_origin(letter)),
            Text(_tries(letter)),
        ]
        if with_state:
            cells.append(Text(state, style=_COLOURS[state]))
        table.add_row(*cells, _text(letter.message))
    return table


def groups_table(groups: Sequence[Group]) -> Table:
    """Return a table with a line for each kind of failure."""
    table = _table("fingerprint", "count", "first (UTC)", "last (UTC)", "reason", "example")
    table.columns[1].justify = "right"
    table.add_column("message", overflow="fold")
    for group in groups[:_MAX_GROUPS]:
        table.add_row(
            Text(group.fingerprint),
            Text(f"{group.count:,}"),
            Text(f"{group.first:%Y-%m-%d %H:%M:%S}"),
            Text(f"{group.last:%Y-%m-%d %H:%M:%S}"),
            _text(group.reason, style="magenta"),
            Text(group.example),
            Text(one_line(clean_text(group.message))),
        )
    if len(groups) > _MAX_GROUPS:
        table.caption = f"and {len(groups) - _MAX_GROUPS:,} more kinds"
    return table


def letter_json(letter: Letter, mark: Mark | None) -> dict[str, object]:
    """Return what a letter says, its event left out."""
    record, origin = letter.record, letter.origin
    return {
        "letter": letter.place,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "failed_at": letter.failed_at.isoformat(),
        "reason": letter.reason,
        "message": letter.message,
        "error_class": letter.error_class,
        "fingerprint": letter.fingerprint,
        "tenant": letter.tenant,
        "key": letter.key,
        "origin": asdict(origin) if origin else None,
        "attempts": letter.attempts,
        "redrives": letter.redrives,
        "truncated": letter.truncated or None,
        "trace_id": letter.trace_id or None,
        "state": state_of(mark),
        "mark": {"at": mark.at.isoformat(), "by": mark.by, "why": mark.why or None} if mark else None,
    }


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0))


def _text(text: str, *, style: str = "") -> Text:
    """Return a stranger's text on one line, unable to steer the terminal."""
    return Text(one_line(clean_text(text), at_most=_MAX_MESSAGE_CHARS), style=style)


def _origin(letter: Letter) -> str:
    return f"{letter.origin.partition}:{letter.origin.offset}" if letter.origin else "?"


def _tries(letter: Letter) -> str:
    return f"{letter.attempts}" + (f", sent back {letter.redrives}×" if letter.redrives else "")
