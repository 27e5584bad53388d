"""The demo's result in a terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.demo.outcomes import Outcomes, gravest_first
from service.telemetry.plain_text import one_line

# A screenful or so; the contact sheet has more.
MAX_ROWS = 40
MAX_CATEGORIES = 3
MAX_TAGS = 1
# Scores under this say nothing: only the highest is shown, and dimmed.
LEAST_SCORE = 0.05

COLOURS = {"allow": "green", "review": "yellow", "block": "red"}


def result_tables(outcomes: Outcomes) -> RenderableType:
    """Return the verdicts, gravest first, and the dead letters."""
    parts: list[RenderableType] = []
    if outcomes.verdicts:
        parts.append(_verdicts(outcomes))
    if outcomes.dead_letters:
        parts += ["", _dead_letters(outcomes)]
    return Group(*parts)


def verdict_row(name: str, verdict: VerdictV1, tags: TagsV1 | None) -> tuple[Text, ...]:
    """Return name, decision, top categories with scores, tags and milliseconds."""
    colour = COLOURS[verdict.decision]
    return (
        Text(one_line(name)),
        Text(verdict.decision, style=f"bold {colour}"),
        _scores(verdict, colour),
        Text(_tags(tags), style="dim"),
        Text(f"{verdict.timings_ms.get('total', 0.0):.0f}"),
    )


def verdict_table(title: str) -> Table:
    """Return the table without rows."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("image", overflow="ellipsis", no_wrap=True)
    table.add_column("decision", min_width=len("decision"))
    table.add_column("categories", overflow="ellipsis", no_wrap=True)
    table.add_column("tags", overflow="ellipsis", no_wrap=True)
    table.add_column("ms", justify="right", min_width=len("1000"))
    return table


def _verdicts(outcomes: Outcomes) -> Table:
    table = verdict_table("Verdicts")
    for key, verdict in gravest_first(outcomes.verdicts.items())[:MAX_ROWS]:
        table.add_row(*verdict_row(key, verdict, outcomes.tags.get(key)))
    more = len(outcomes.verdicts) - MAX_ROWS
    if more > 0:
        table.caption = f"and {more} more"
        table.caption_justify = "left"
    return table


def _scores(verdict: VerdictV1, colour: str) -> Text:
    if verdict.status == "not_moderated":
        return Text("not judged", style="dim")
    top = sorted(verdict.scores.items(), key=lambda item: -item[1])[:MAX_CATEGORIES]
    telling = [item for item in top if item[1] >= LEAST_SCORE]
    parts = [
        Text(f"{name} {score:.2f}", style=colour if name == verdict.deciding_category else "" if telling else "dim")
        for name, score in telling or top[:1]
    ]
    return Text(", ").join(parts)


def _tags(tags: TagsV1 | None) -> str:
    values = [value for each in (tags.attributes.values() if tags else ()) for value in each]
    return ", ".join(f"{value.value} {value.confidence:.2f}" for value in values[:MAX_TAGS])


def _dead_letters(outcomes: Outcomes) -> Table:
    table = Table(
        title="Dead letters", title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    table.add_column("event")
    table.add_column("reason", style="red")
    table.add_column("in words", overflow="fold")
    letters = sorted(outcomes.dead_letters.values(), key=lambda letter: letter.key)
    for letter in letters[:MAX_ROWS]:
        table.add_row(Text(letter.key), Text(letter.reason), Text(letter.message))
    more = len(letters) - MAX_ROWS
    if more > 0:
        table.caption = f"and {more} more"
        table.caption_justify = "left"
    return table
