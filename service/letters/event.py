"""Pure: the event inside a dead letter, as far as it can be read, for people and for filters."""

import contextlib
import re
from collections.abc import Mapping
from typing import Any

import orjson

from service.errors import RejectedError
from service.stream.envelope import open_record
from service.stream.records import SourceRecord

DEFAULT_TENANT = "default"
"""What the contract takes an event for that names none."""

_MAX_TEXT_CHARS = 4000
"""Of a value that is no JSON: its start tells people what it was."""

# Longer than any word, id or digest: the image of an event that was cut.
_BASE64 = re.compile(r"[A-Za-z0-9+/]{200,}={0,2}")

_URL = re.compile(
    r"""(?P<scheme>[a-z][a-z0-9+.-]*://)
        (?:[^\s/?\#"'<>]*@)?           # user name and password
        (?P<address>[^\s?\#"'<>]*)
        (?P<rest>[?\#][^\s"'<>]*)?     # a signature stands here
    """,
    re.VERBOSE | re.IGNORECASE,
)


def event_of(record: SourceRecord) -> dict[str, Any] | None:
    """Return the event's fields, without a check; None for what is no JSON object."""
    data: object = record.value or b""
    with contextlib.suppress(RejectedError):  # what is no CloudEvent may be readable all the same
        data = open_record(record.value or b"", record.headers).data
    if isinstance(data, bytes):
        try:
            data = orjson.loads(data)
        except orjson.JSONDecodeError:
            return None
    return data if isinstance(data, dict) else None


def tenant_of(record: SourceRecord) -> str | None:
    """Return the event's tenant; None where the event cannot be read."""
    event = event_of(record)
    if event is None:
        return None
    tenant = event.get("tenant")
    return tenant if isinstance(tenant, str) else DEFAULT_TENANT


def shown_event(record: SourceRecord, *, reveal: bool) -> object:
    """Return what people are shown of a value: image bytes counted, URLs without their queries unless revealed."""
    event = event_of(record)
    if event is not None:
        return _shown(event, reveal=reveal)
    value = record.value or b""
    text = _BASE64.sub(lambda run: str(_counted(run[0])), value[:_MAX_TEXT_CHARS].decode(errors="backslashreplace"))
    return shown_text(text, reveal=reveal) + (f"… ({len(value)} bytes)" if len(value) > _MAX_TEXT_CHARS else "")


def shown_text(text: str, *, reveal: bool) -> str:
    """Return a text with the queries of its URLs cut off, where a signature would stand, unless they are revealed."""
    return text if reveal else _URL.sub(_unsigned, text)


def _shown(value: object, *, reveal: bool) -> object:
    match value:
        case Mapping():
            return {
                key: _counted(inner) if key == "inline" else _shown(inner, reveal=reveal)
                for key, inner in value.items()
            }
        case list():
            return [_shown(inner, reveal=reveal) for inner in value]
        case str():
            return shown_text(value, reveal=reveal)
        case _:
            return value


def _counted(inline: object) -> object:
    return f"<{len(inline)} characters of base64>" if isinstance(inline, str) else inline


def _unsigned(url: re.Match[str]) -> str:
    return f"{url['scheme']}{url['address']}{'?…' if url['rest'] else ''}"
