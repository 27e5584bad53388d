"""What a re-drive or a discard did, in words and as JSON."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from service.telemetry.plain_text import one_line

if TYPE_CHECKING:
    from service.tools.dead_letters.run import Tally

_MAX_REASONS = 60
"""The service has fewer; others may write into the topic, too."""


def print_tally(console: Console, tally: "Tally", words: str) -> None:
    """Print what came of it, what was refused with its reason."""
    console.print(f"{tally.done:,} dead {'letter' if tally.done == 1 else 'letters'} {words}")
    for reason, count in tally.reasons.most_common(_MAX_REASONS):
        console.print(Text(f"  {count:>9,}  {one_line(reason)}"))
    if len(tally.reasons) > _MAX_REASONS:
        console.print(f"  and {len(tally.reasons) - _MAX_REASONS:,} more reasons, of which the service has fewer")
    if before := sum(count for times, count in tally.redrives.items() if times):
        console.print(f"{before:,} of them were sent back before, up to {max(tally.redrives)} times, and failed again")
    if tally.done_before:
        console.print(f"{tally.done_before:,} were dealt with before, and are left alone")
    if tally.limit_reached:
        console.print("there are more: --limit was reached")
    if tally.refused:
        console.print(f"[bold red]{tally.refused:,} cannot be sent back[/]{_first(tally)}")
    for letter, why in tally.refused_shown:
        console.print(Text(f"  {letter.place:>12}  {one_line(why)}"), soft_wrap=True)


def tally_json(tally: "Tally") -> dict[str, object]:
    """Return the same for programs."""
    return {
        "done": tally.done,
        "reasons": dict(tally.reasons),
        "redriven_before": {times: count for times, count in tally.redrives.items() if times},
        "done_before": tally.done_before,
        "limit_reached": tally.limit_reached,
        "refused": tally.refused,
        "refused_shown": [{"letter": letter.place, "why": why} for letter, why in tally.refused_shown],
    }


def _first(tally: "Tally") -> str:
    shown = len(tally.refused_shown)
    return f"; the first {shown}:" if shown < tally.refused else ":"
