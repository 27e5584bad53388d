"""Removes image bytes and URLs, which may be signed, from log lines. Pure."""

import re
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from enum import Enum
from itertools import islice
from pathlib import PurePath
from typing import TYPE_CHECKING, cast
from uuid import UUID

from pydantic import SecretStr
from structlog.typing import EventDict, WrappedLogger

from service.telemetry.plain_text import cut, escaped_lines, one_line

if TYPE_CHECKING:
    from typing_extensions import Buffer

# Longer text is a payload, or a traceback that repeats itself.
MAX_TEXT_CHARACTERS = 8192

# What is behind this is a payload: reading it costs time, and nothing of it is written.
_MAX_READ_CHARACTERS = 4 * MAX_TEXT_CHARACTERS
# A line names a few things with a few fields each.
_MAX_ENTRIES = 128
_MAX_DEPTH = 8
_INT64_END = 2**63

# Every pattern takes time in proportion to the text: none begins with a repetition, and no start is tried twice.
_URL = re.compile(
    r"""://
        (?:[^\s/?#\\"'<>]*@)?              # user name and password
        (?P<host>[^\s/?#\\"'<>]*)
        (?P<rest>[^\s"'<>]*)               # path, query and fragment
    """,
    re.VERBOSE,
)
_DATA_URL = re.compile(r"data:[a-z0-9.+/-]*[;,][^\s\"'<>]*", re.IGNORECASE)
_BYTES_LITERAL = re.compile(r"""\bb(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
_CUT_BYTES_LITERAL = re.compile(r"""\bb(?:'(?:[^'\\]|\\.)*|"(?:[^"\\]|\\.)*)\\?\Z""")

# A rendered traceback has lines; everything else is one, so that no value can forge another line.
_BLOCKS = frozenset({"exception", "stack"})

_PRINTABLE = (PurePath, SecretStr, date, timedelta, UUID, Enum)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Clean every value of a log event; a structlog processor."""
    return {
        key: clean_block(value) if key in _BLOCKS and isinstance(value, str) else clean(value)
        for key, value in event.items()
    }


def clean(value: object, *, depth: int = 0) -> object:
    """Return what may be logged of a value: plain data with bytes counted and URLs cut down to scheme and host."""
    match value:
        case None | bool() | float():
            return value
        case int():
            # An enumeration's members, too, are written as numbers.
            return int(value) if -_INT64_END <= value < _INT64_END else f"<{value.bit_length()} bits>"
        case str():
            return clean_text(value)
        case Mapping() | list() | tuple() | set() | frozenset():
            return _clean_entries(value, depth + 1) if depth < _MAX_DEPTH else "…"
        case _ if isinstance(value, _PRINTABLE):
            return clean_text(str(value))
        case _:
            return _describe(value)


def _clean_entries(value: "Mapping[object, object] | Collection[object]", depth: int) -> object:
    if isinstance(value, Mapping):
        entries = islice(value.items(), _MAX_ENTRIES)
        return {clean_text(str(key)): clean(item, depth=depth) for key, item in entries}
    return [clean(item, depth=depth) for item in islice(value, _MAX_ENTRIES)]


def clean_text(text: str) -> str:
    """Return the text on one line, with URLs cut down to scheme and host, and without bytes; of bounded length."""
    return one_line(_redacted(text), at_most=MAX_TEXT_CHARACTERS)


def clean_block(text: str) -> str:
    """Return a text like `clean_text`, with its line ends: for tracebacks."""
    block = escaped_lines(_redacted(text))
    return block if len(block) <= MAX_TEXT_CHARACTERS else f"{block[:MAX_TEXT_CHARACTERS]}…"


def _redacted(text: str) -> str:
    whole, text = text, cut(text, _MAX_READ_CHARACTERS)
    if "://" in text:
        text = _URL.sub(_without_secrets, text)
    if "data:" in text:
        text = _DATA_URL.sub("data:…", text)
    if "b'" in text or 'b"' in text:
        text = _BYTES_LITERAL.sub("<bytes>", text)
        if len(whole) > _MAX_READ_CHARACTERS:
            text = _CUT_BYTES_LITERAL.sub("<bytes>", text)
    return text


def _without_secrets(url: re.Match[str]) -> str:
    return f"://{url['host']}{'/…' if url['rest'] else ''}"


def _describe(value: object) -> str:
    """Name the type of what is no plain data: its text may hold pixels or captions."""
    try:
        size_bytes = memoryview(cast("Buffer", value)).nbytes
    except TypeError:
        return f"<{type(value).__qualname__}>"
    return f"<{size_bytes} bytes>"
