"""What must not leave by a log: image bytes, and URLs, which may be signed. Pure."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, cast
from uuid import UUID

from pydantic import SecretStr
from structlog.typing import EventDict, WrappedLogger

if TYPE_CHECKING:
    from typing_extensions import Buffer

# Longer text is a payload, or a traceback that repeats itself.
MAX_TEXT_CHARACTERS = 8192

_URL = re.compile(
    r"""(?P<scheme>[a-z][a-z0-9+.-]*)://
        (?:[^\s/?#\\"'<>]*@)?              # user name and password
        (?P<host>[^\s/?#\\"'<>]*)
        (?P<rest>[^\s"'<>]*)               # path, query and fragment
    """,
    re.VERBOSE | re.IGNORECASE,
)
_DATA_URL = re.compile(r"data:[a-z0-9.+/-]*[;,][^\s\"'<>]*", re.IGNORECASE)
_BYTES_LITERAL = re.compile(r"""\bb(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
# Control characters would steer a terminal, and lone surrogates cannot be written; line ends and tabs may stay.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

_PRINTABLE = (PurePath, SecretStr, date, timedelta, UUID, Enum)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Clean every value of a log event; a structlog processor."""
    return {key: clean(value) for key, value in event.items()}


def clean(value: object) -> object:
    """Return what may be logged of a value: plain data with bytes counted and URLs cut down to scheme and host."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return clean_text(value)
        case Mapping():
            return {clean_text(str(key)): clean(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [clean(item) for item in value]
        case _ if isinstance(value, _PRINTABLE):
            return clean_text(str(value))
        case _:
            return _describe(value)


def clean_text(text: str) -> str:
    """Return the text with URLs cut down to scheme and host, and without bytes."""
    if "://" in text:
        text = _URL.sub(_without_secrets, text)
    if "data:" in text:
        text = _DATA_URL.sub("data:…", text)
    if "b'" in text or 'b"' in text:
        text = _BYTES_LITERAL.sub("<bytes>", text)
    if not text.isprintable():
        text = _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)
    return text if len(text) <= MAX_TEXT_CHARACTERS else f"{text[:MAX_TEXT_CHARACTERS]}…"


def _without_secrets(url: re.Match[str]) -> str:
    return f"{url['scheme']}://{url['host']}{'/…' if url['rest'] else ''}"


def _describe(value: object) -> str:
    """Name the type of what is no plain data: its text may hold pixels or captions."""
    try:
        size_bytes = memoryview(cast("Buffer", value)).nbytes
    except TypeError:
        return f"<{type(value).__qualname__}>"
    return f"<{size_bytes} bytes>"
