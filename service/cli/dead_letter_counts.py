"""What a re-drive or a discard did, in words and as JSON."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from service.telemetry.plain_text import one_line

if TYPE_CHECKING:
    from service.tools.dead_letters.run import RunResult

_MAX_REASONS = 60
"""The service has fewer; others may write into the topic, too."""


def print_result(console: Console, result: "RunResult", words: str) -> None:
    """Print what came of it, what was refused with its reason."""
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
    for letter, why in result.refused_shown:
        console.print(Text(f"  {letter.place:>12}  {one_line(why)}"), soft_wrap=True)


def result_json(result: "RunResult") -> dict[str, object]:
    """Return the same for programs."""
    return {
        "done": result.done,
        "reasons": dict(result.reasons),
        "redriven_before": {times: count for times, count in result.redrives.items() if times},
        "done_before": result.done_before,
        "limit_reached": result.limit_reached,
        "refused": result.refused,
        "refused_shown": [{"letter": letter.place, "why": why} for letter, why in result.refused_shown],
    }


def _first(result: "RunResult") -> str:
    shown = len(result.refused_shown)
    return f"; the first {shown}:" if shown < result.refused else ":"
