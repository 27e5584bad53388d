"""The demo's result in a terminal."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.client.outcomes import DeadLetter
from service.telemetry.plain_text import one_line
from service.tools.demo.fitted_table import Column, print_table
from service.tools.demo.outcomes import Outcomes, gravest_first

# A screenful or so; the contact sheet has more.
MAX_ROWS = 40
LEAST_NAME_WIDTH = 24
"""Longer names go on in further lines where the terminal is narrow."""
MAX_CATEGORIES = 3
MAX_TAGS = 1
# Scores under this say nothing: only the highest is shown, and dimmed.
LEAST_SCORE = 0.05

COLOURS = {"allow": "green", "review": "yellow", "block": "red"}


def print_result(console: Console, outcomes: Outcomes) -> None:
    """Print the verdicts, gravest first, and the dead letters."""
    verdicts = gravest_first(outcomes.verdicts.items())
    if verdicts:
        rows = [verdict_row(key, verdict, outcomes.tags.get(key)) for key, verdict in verdicts[:MAX_ROWS]]
        print_table(console, verdict_columns(rows), title="Verdicts")
        print_more(console, len(verdicts))
    dead_letters = sorted(outcomes.dead_letters.values(), key=lambda dead_letter: dead_letter.key)
    if dead_letters:
        console.print()
        print_table(console, dead_letter_columns(dead_letters[:MAX_ROWS]), title="Dead letters")
        print_more(console, len(dead_letters))


def print_more(console: Console, count: int) -> None:
    """Say how many rows a table of at most `MAX_ROWS` leaves out, if it does."""
    if count > MAX_ROWS:
        console.print(f"and {count - MAX_ROWS} more", highlight=False)


def verdict_row(name: str, verdict: VerdictV1, tags: TagsV1 | None) -> tuple[Text, ...]:
    """Return name, decision, top categories with scores and what is ambiguous of the file, tags and milliseconds."""
    colour = COLOURS[verdict.decision]
    return (
        Text(one_line(name)),
        Text(verdict.decision, style=f"bold {colour}"),
        _scores(verdict, colour),
        Text(_tags(tags), style="dim"),
        Text(f"{verdict.timings_ms.get('total', 0.0):.0f}"),
    )


def verdict_columns(rows: Iterable[Sequence[Text]]) -> list[Column]:
    """Return the columns of a table of verdicts; image and decision are never left out."""
    columns = [
        Column("image", folds_at=LEAST_NAME_WIDTH),
        Column("decision"),
        Column("categories", rank=1, folds_at=20),
        Column("tags", rank=3, cut_at=12),
        Column("ms", rank=2, justify="right"),
    ]
    for row in rows:
        for column, cell in zip(columns, row, strict=True):
            column.cells.append(cell)
    return columns


def dead_letter_columns(dead_letters: Iterable[DeadLetter]) -> list[Column]:
    """Return the columns of a table of dead letters; event and reason are never left out."""
    event, reason = Column("event", folds_at=LEAST_NAME_WIDTH), Column("reason")
    message = Column("in words", rank=1, folds_at=20)
    for dead_letter in dead_letters:
        event.cells.append(Text(one_line(dead_letter.key)))
        reason.cells.append(Text(one_line(dead_letter.reason), style="red"))
        message.cells.append(Text(one_line(dead_letter.message)))
    return [event, reason, message]


def _scores(verdict: VerdictV1, colour: str) -> Text:
    if verdict.status == "not_moderated":
        return Text("not judged", style="dim")
    top = sorted(verdict.scores.items(), key=lambda item: -item[1])[:MAX_CATEGORIES]
    notable = [item for item in top if item[1] >= LEAST_SCORE]
    parts = [
        Text(f"{name} {score:.2f}", style=colour if name == verdict.deciding_category else "" if notable else "dim")
        for name, score in notable or top[:1]
    ]
    if verdict.ambiguous:
        parts.append(Text(f"ambiguous: {' '.join(verdict.ambiguous)}", style=colour))
    return Text(", ").join(parts)


def _tags(tags: TagsV1 | None) -> str:
    values = [value for each in (tags.attributes.values() if tags else ()) for value in each]
    return ", ".join(f"{value.value} {value.confidence:.2f}" for value in values[:MAX_TAGS])
