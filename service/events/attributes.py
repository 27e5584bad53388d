"""Pure: what CloudEvents 1.0.2 demands of an event's attributes, and which one breaks it.

The official SDK looks whether attributes are there and are text; it accepts most of what the specification forbids.
"""

import re
from collections.abc import Callable, Mapping

from service.events.codec_errors import CloudEventInvalidError

REQUIRED = ("id", "source", "type", "specversion")
MAX_ATTRIBUTES = 64
"""The specification names 8 and asks for few extensions; each costs time."""
MAX_ATTRIBUTE_CHARACTERS = 65_536
"""Characters of all attribute values together: the event size that every intermediary forwards (CloudEvents 1.0.2)."""

_INT32 = range(-(2**31), 2**31)
_NAME = re.compile(r"[a-z0-9]+")
# Control characters, halves of surrogate pairs, and what Unicode will never assign.
_FORBIDDEN = re.compile(
    "[\0-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]"
)
# RFC 3986; what it has no character for is written with a percent sign. What is read once is not read again (++, *+).
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*:"
_USER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]++|%[0-9A-Fa-f]{2})*+@"
_PART = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]++|%[0-9A-Fa-f]{2})*+"
_REST = rf"(?://(?:{_USER})?\[[0-9A-Za-z:.]++\])?{_PART}(?:\#{_PART})?"
_URI = re.compile(_SCHEME + _REST)
_URI_REFERENCE = re.compile(rf"(?:{_SCHEME}|(?![^/?\#]*:)){_REST}")
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+[ \t]*(?:;.*)?", re.ASCII)


def check_attributes(attributes: Mapping[str, object]) -> None:
    """Raise `CloudEventInvalidError` that names each attribute at fault and its rule; the time is read elsewhere.

    Nothing that the sender wrote is part of the message, so an extension is called that and no more.
    """
    missing = [name for name in REQUIRED if name not in attributes]
    if missing:
        raise CloudEventInvalidError(detail=f"missing attributes: {', '.join(missing)}")
    if len(attributes) > MAX_ATTRIBUTES:
        raise CloudEventInvalidError(detail=f"more than {MAX_ATTRIBUTES} attributes")
    if sum(len(value) for value in attributes.values() if isinstance(value, str)) > MAX_ATTRIBUTE_CHARACTERS:
        raise CloudEventInvalidError(detail=f"more than {MAX_ATTRIBUTE_CHARACTERS} characters of attributes")
    faults = [fault for name, value in attributes.items() if (fault := _fault(name, value))]
    if faults:
        raise CloudEventInvalidError(detail=f"attributes at fault: {', '.join(dict.fromkeys(faults))}")


def _fault(name: str, value: object) -> str:
    """Return the attribute's name and the rule that it breaks; nothing when it breaks none."""
    check = _CHECKS.get(name)
    if check is None:
        rule = _extension_fault(name, value)
        return f"an extension ({rule})" if rule else ""
    rule = _text_fault(value) or check(str(value))
    return f"{name} ({rule})" if rule else ""


def _text_fault(value: object) -> str:
    if not isinstance(value, str):
        return "not a string"
    return "empty" if not value else _character_fault(value)


def _character_fault(text: str) -> str:
    # Nearly every text is printable, which is checked faster.
    return "" if text.isprintable() or not _FORBIDDEN.search(text) else "a character that CloudEvents forbids"


def _extension_fault(name: str, value: object) -> str:
    if name == "data":
        return "a reserved name"
    if not _NAME.fullmatch(name):
        return "its name is not of the letters a to z and digits"
    if isinstance(value, str):
        return _character_fault(value)
    if isinstance(value, int):
        return "" if value in _INT32 else "an integer beyond 32 bits"
    return "neither string, integer nor boolean"


def _matches(pattern: re.Pattern[str], rule: str) -> Callable[[str], str]:
    return lambda text: "" if pattern.fullmatch(text) else rule


_CHECKS: Mapping[str, Callable[[str], str]] = {
    "id": lambda _: "",
    "type": lambda _: "",
    "subject": lambda _: "",
    "specversion": lambda text: "" if text == "1.0" else "not 1.0",
    "source": _matches(_URI_REFERENCE, "not a URI reference"),
    "dataschema": _matches(_URI, "not an absolute URI"),
    "datacontenttype": _matches(_MEDIA_TYPE, "not a media type"),
}
