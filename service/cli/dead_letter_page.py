"""One dead letter with all that is known about it, as a page and as JSON."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from service.cli.as_json import as_json
from service.cli.dead_letter_tables import dead_letter_json
from service.core.headers import without_ours
from service.settings.types import TRACE_ID_PLACE
from service.telemetry.plain_text import cut, escaped, escaped_lines, one_line
from service.tools.dead_letters.dead_letter import StoredDeadLetter
from service.tools.dead_letters.event import shown_event, shown_text
from service.tools.dead_letters.journal import JournalEntry

_MAX_HEADERS = 100
"""Of the uploader; a trace, a route and what a CloudEvent says take some dozen."""
_MAX_HEADER_BYTES = 1000
_MAX_STACK_CHARS = 8000


def trace_link(dead_letter: StoredDeadLetter, template: str | None) -> str:
    """Return the address of the dead letter's trace; its id alone without a template, nothing without a trace."""
    return (
        template.replace(TRACE_ID_PLACE, dead_letter.trace_id)
        if template and dead_letter.trace_id
        else dead_letter.trace_id
    )


def page_json(
    dead_letter: StoredDeadLetter, mark: JournalEntry | None, *, reveal: bool, trace_url: str | None
) -> dict[str, object]:
    """Return the whole dead letter for programs."""
    return dead_letter_json(dead_letter, mark) | {
        "trace": trace_link(dead_letter, trace_url) or None,
        "event": shown_event(dead_letter.record, reveal=reveal),
        "headers": _uploaders_headers(dead_letter, reveal=reveal),
        "stack": dead_letter.stack,
    }


def print_page(
    console: Console, dead_letter: StoredDeadLetter, mark: JournalEntry | None, *, reveal: bool, trace_url: str | None
) -> None:
    """Print the whole dead letter for people."""
    for name, text in _facts(dead_letter, mark, trace_url):
        console.print(Text.assemble((f"{name:<13}", "bold"), one_line(text)), soft_wrap=True)
    _print_part(console, "headers of the uploader", as_json(_uploaders_headers(dead_letter, reveal=reveal)))
    event = shown_event(dead_letter.record, reveal=reveal)
    _print_part(console, "event", escaped(event) if isinstance(event, str) else as_json(event))
    stack = dead_letter.stack.rstrip()[-_MAX_STACK_CHARS:]
    _print_part(console, "stack, the innermost frame last", escaped_lines(stack) or "none was kept")


def _facts(
    dead_letter: StoredDeadLetter, mark: JournalEntry | None, trace_url: str | None
) -> Iterator[tuple[str, str]]:
    record, origin = dead_letter.record, dead_letter.origin
    yield "dead letter", f"{dead_letter.place} of {record.topic}"
    yield "upload", f"{origin.partition}:{origin.offset} of {origin.topic}" if origin else "unknown: no header names it"
    yield "key", dead_letter.key
    yield "tenant", dead_letter.tenant or "unknown: the event cannot be read"
    yield "failed at", f"{dead_letter.failed_at.isoformat()}, attempt {dead_letter.attempts}"
    yield "reason", dead_letter.reason
    yield "message", dead_letter.message
    yield "error", dead_letter.error_class
    yield "fingerprint", dead_letter.fingerprint
    yield "trace", trace_link(dead_letter, trace_url) or "none"
    if dead_letter.redrives:
        yield (
            "sent back",
            f"{dead_letter.redrives} times before it failed like this, the last time from {dead_letter.redriven_from}",
        )
    if dead_letter.raw:
        yield (
            "raw",
            f"the event is a {dead_letter.raw} in Kafka's format that could not be read, and cannot be sent back",
        )
    if dead_letter.truncated:
        yield "cut", f"{dead_letter.truncated}: it did not fit, and cannot be sent back"
    yield "state", _state(mark)


def _state(mark: JournalEntry | None) -> str:
    if mark is None:
        return "open"
    why = f": {mark.why}" if mark.why else ""
    return f"{mark.state} at {mark.at.isoformat()} by {mark.by}{why}"


def _uploaders_headers(dead_letter: StoredDeadLetter, *, reveal: bool) -> dict[str, str]:
    headers = without_ours(dead_letter.record.headers)
    shown = {one_line(name): _header_text(value, reveal=reveal) for name, value in headers[:_MAX_HEADERS]}
    return shown | ({"…": f"{len(headers) - _MAX_HEADERS:,} more"} if len(headers) > _MAX_HEADERS else {})


def _header_text(value: bytes | None, *, reveal: bool) -> str:
    text = (value or b"")[: _MAX_HEADER_BYTES + 1].decode(errors="backslashreplace")
    beginning = cut(text, _MAX_HEADER_BYTES)
    return shown_text(beginning, reveal=reveal) + ("…" if len(beginning) < len(text) else "")


def _print_part(console: Console, title: str, text: str) -> None:
    console.print(Text(f"\n{title}", style="bold"))
    console.print(Text(text), soft_wrap=True)
