"""One dead letter with all that is known about it, as a page and as JSON."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from service.cli.as_json import as_json
from service.cli.dead_letter_tables import letter_json
from service.core.headers import without_ours
from service.settings.types import TRACE_ID_PLACE
from service.telemetry.plain_text import cut, escaped, escaped_lines, one_line
from service.tools.dead_letters.event import shown_event, shown_text
from service.tools.dead_letters.journal import JournalEntry
from service.tools.dead_letters.letter import StoredDeadLetter

_MAX_HEADERS = 100
"""Of the uploader; a trace, a route and what a CloudEvent says take some dozen."""
_MAX_HEADER_BYTES = 1000
_MAX_STACK_CHARS = 8000


def trace_link(letter: StoredDeadLetter, template: str | None) -> str:
    """Return the address of the letter's trace; its id alone without a template, nothing without a trace."""
    return template.replace(TRACE_ID_PLACE, letter.trace_id) if template and letter.trace_id else letter.trace_id


def page_json(
    letter: StoredDeadLetter, mark: JournalEntry | None, *, reveal: bool, trace_url: str | None
) -> dict[str, object]:
    """Return the whole letter for programs."""
    return letter_json(letter, mark) | {
        "trace": trace_link(letter, trace_url) or None,
        "event": shown_event(letter.record, reveal=reveal),
        "headers": _uploaders_headers(letter, reveal=reveal),
        "stack": letter.stack,
    }


def print_page(
    console: Console, letter: StoredDeadLetter, mark: JournalEntry | None, *, reveal: bool, trace_url: str | None
) -> None:
    """Print the whole letter for people."""
    for name, text in _facts(letter, mark, trace_url):
        console.print(Text.assemble((f"{name:<13}", "bold"), one_line(text)), soft_wrap=True)
    _print_part(console, "headers of the uploader", as_json(_uploaders_headers(letter, reveal=reveal)))
    event = shown_event(letter.record, reveal=reveal)
    _print_part(console, "event", escaped(event) if isinstance(event, str) else as_json(event))
    stack = letter.stack.rstrip()[-_MAX_STACK_CHARS:]
    _print_part(console, "stack, the innermost frame last", escaped_lines(stack) or "none was kept")


def _facts(letter: StoredDeadLetter, mark: JournalEntry | None, trace_url: str | None) -> Iterator[tuple[str, str]]:
    record, origin = letter.record, letter.origin
    yield "letter", f"{letter.place} of {record.topic}"
    yield "upload", f"{origin.partition}:{origin.offset} of {origin.topic}" if origin else "unknown: no header names it"
    yield "key", letter.key
    yield "tenant", letter.tenant or "unknown: the event cannot be read"
    yield "failed at", f"{letter.failed_at.isoformat()}, attempt {letter.attempts}"
    yield "reason", letter.reason
    yield "message", letter.message
    yield "error", letter.error_class
    yield "fingerprint", letter.fingerprint
    yield "trace", trace_link(letter, trace_url) or "none"
    if letter.redrives:
        yield (
            "sent back",
            f"{letter.redrives} times before it failed like this, the last time from {letter.redriven_from}",
        )
    if letter.raw:
        yield "raw", f"the event is a {letter.raw} in Kafka's format that could not be read, and cannot be sent back"
    if letter.truncated:
        yield "cut", f"{letter.truncated}: it did not fit, and cannot be sent back"
    yield "state", _state(mark)


def _state(mark: JournalEntry | None) -> str:
    if mark is None:
        return "open"
    why = f": {mark.why}" if mark.why else ""
    return f"{mark.state} at {mark.at.isoformat()} by {mark.by}{why}"


def _uploaders_headers(letter: StoredDeadLetter, *, reveal: bool) -> dict[str, str]:
    headers = without_ours(letter.record.headers)
    shown = {one_line(name): _header_text(value, reveal=reveal) for name, value in headers[:_MAX_HEADERS]}
    return shown | ({"…": f"{len(headers) - _MAX_HEADERS:,} more"} if len(headers) > _MAX_HEADERS else {})


def _header_text(value: bytes | None, *, reveal: bool) -> str:
    text = (value or b"")[: _MAX_HEADER_BYTES + 1].decode(errors="backslashreplace")
    beginning = cut(text, _MAX_HEADER_BYTES)
    return shown_text(beginning, reveal=reveal) + ("…" if len(beginning) < len(text) else "")


def _print_part(console: Console, title: str, text: str) -> None:
    console.print(Text(f"\n{title}", style="bold"))
    console.print(Text(text), soft_wrap=True)
