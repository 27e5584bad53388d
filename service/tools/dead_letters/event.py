"""Pure: the event inside a dead letter, as far as it can be read, for people and for filters."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from service.core.records import SourceRecord
from service.events.raw_event import event_of
from service.telemetry.plain_text import cut, without_cut_url

_Entry = TypeVar("_Entry")

_MAX_TEXT_CHARS = 4000
"""Of a value that is no JSON: its start shows people what it was."""

# What is shown of an event, which may be as large and as deep as brokers and parsers allow; the largest event of the
# contract has less of all three.
_MAX_SHOWN_CHARACTERS = 65_536
_MAX_SHOWN_ENTRIES = 500
_MAX_SHOWN_DEPTH = 16

# Longer than any word, id or digest: the image of an event that was cut.
_BASE64 = re.compile(r"[A-Za-z0-9+/]{200,}={0,2}")

_URL = re.compile(
    r"""://
        (?:[^\s/?\#"'<>]*@)?           # user name and password
        (?P<address>[^\s?\#"'<>]*)
        (?P<rest>[?\#][^\s"'<>]*)?     # a signature stands here
    """,
    re.VERBOSE,
)


def shown_event(record: SourceRecord, *, reveal: bool) -> object:
    """Return an event as it is shown: the size of image bytes, and URLs without their queries unless revealed."""
    event = event_of(record)
    if event is not None:
        return _Shown(reveal=reveal).of(event)
    value = record.value or b""
    text = value[:_MAX_TEXT_CHARS].decode(errors="backslashreplace")
    if len(value) <= _MAX_TEXT_CHARS:
        return shown_text(_BASE64.sub(_count_run, text), reveal=reveal)
    text = _BASE64.sub(_count_run, without_cut_url(text))
    return f"{shown_text(text, reveal=reveal)}… ({len(value)} bytes)"


def shown_text(text: str, *, reveal: bool) -> str:
    """Return a text without the queries of its URLs, which may hold a signature, unless they are revealed."""
    return text if reveal else _URL.sub(_unsigned, text)


class _Shown:
    """What people are shown of an event, one value after the other until there is enough."""

    def __init__(self, *, reveal: bool) -> None:
        self._reveal = reveal
        self._entries = _MAX_SHOWN_ENTRIES
        self._characters = _MAX_SHOWN_CHARACTERS

    def of(self, value: object, depth: int = 0) -> object:
        """Return a value without what is too much, too deep or too long."""
        match value:
            case Mapping() | list() if depth == _MAX_SHOWN_DEPTH:
                return "…"
            case Mapping():
                members = {
                    self._text(name): self._member(name, inner, depth) for name, inner in self._enough(value.items())
                }
                return members | _more(len(value) - len(members))
            case list():
                shown = [self.of(inner, depth + 1) for inner in self._enough(value)]
                return [*shown, *_more(len(value) - len(shown)).values()]
            case str():
                return self._text(value)
            case _:
                return value

    def _member(self, name: str, value: object, depth: int) -> object:
        if name == "inline" and isinstance(value, str):
            return f"<{len(value)} characters of base64>"
        return self.of(value, depth + 1)

    def _text(self, text: str) -> str:
        beginning = cut(text, self._characters)
        self._characters -= len(beginning)
        return shown_text(beginning, reveal=self._reveal) + ("…" if len(beginning) < len(text) else "")

    def _enough(self, entries: Iterable[_Entry]) -> Iterator[_Entry]:
        for entry in entries:
            if self._entries == 0:
                return
            self._entries -= 1
            yield entry


def _more(count: int) -> dict[str, str]:
    return {"…": f"{count:,} more"} if count > 0 else {}


def _count_run(base64: re.Match[str]) -> str:
    return f"<{len(base64[0])} characters of base64>"


def _unsigned(url: re.Match[str]) -> str:
    return f"://{url['address']}{'?…' if url['rest'] else ''}"
