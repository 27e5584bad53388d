"""Pure: turns errors of the contract's model into a rejection that names fields and rules, never values."""

import re
from collections.abc import Iterator, Sequence

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.image_uploaded import ImageByUrlV1, ImageInlineV1, ImageUploadedV1
from schemas.registry import IMAGE_UPLOADED_V1
from service.core.errors import RejectedError
from service.core.validation_text import text_of
from service.events.codec_errors import EventInvalidError, EventNotJsonError

MAX_FAULTS_NAMED = 5
"""A dead letter has room for a hint, not for every fault of a hopeless event."""
MAX_KEY_CHARACTERS = 64
"""Characters of a context entry's key that a message shows."""

_STRUCTURED_HINT = (
    ". It looks like a structured CloudEvent: send it with the record header content-type: application/cloudevents+json"
)
_FIELD_NAMES = frozenset(
    name for model in (ImageUploadedV1, ImageByUrlV1, ImageInlineV1) for name in model.model_fields
)
# A key like this is a name; anything else may be a sentence, an address or a secret.
_NAME = re.compile(r"[\w.-]*")
# How pydantic marks that a mapping's key is at fault, not its value.
_KEY_MARK = "[key]"


def event_rejection(error: ValidationError, *, hint: str = "") -> RejectedError:
    """Return the rejection of an event that the model refuses; the hint ends its message."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    if faults[0]["type"] == "json_invalid":
        return EventNotJsonError(detail=text_of(faults[0]))
    named = [f"{_path(fault['loc'])}: {text_of(fault)}" for fault in _own_faults(faults)]
    more = len(named) - MAX_FAULTS_NAMED
    shown = [*named[:MAX_FAULTS_NAMED], f"and {more} more"] if more > 0 else named
    return EventInvalidError(schema=IMAGE_UPLOADED_V1.slug, detail="; ".join(shown) + hint)


def structured_hint(data: object) -> str:
    """Return a hint for a structured CloudEvent without its content type; empty for other values."""
    try:
        value = orjson.loads(data) if isinstance(data, bytes) else data
    except orjson.JSONDecodeError:
        return ""
    is_structured = isinstance(value, dict) and value.keys() >= {"specversion", "type", "source"}
    return _STRUCTURED_HINT if is_structured else ""


def _own_faults(faults: Sequence[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Leave out that a list is too short where entries were refused: pydantic counts those that it accepts."""
    for fault in faults:
        depth = len(fault["loc"])
        inside = any(len(other["loc"]) > depth and other["loc"][:depth] == fault["loc"] for other in faults)
        if not (fault["type"] == "too_short" and inside):
            yield fault


def _path(location: tuple[int | str, ...]) -> str:
    """Name the field as the sender writes it: `image.media_type`, `context.album`."""
    match location:
        case ("context", key, *rest):
            return f"context.{_key(str(key))}{' (its key)' if _KEY_MARK in rest else ''}"
        case ("image", _, field, *_):  # the second step is the kind of image, no field
            location = ("image", field)
    parts = [str(part) if isinstance(part, int) or part in _FIELD_NAMES else "*" for part in location]
    return ".".join(parts) or "event"


def _key(key: str) -> str:
    if not key:
        return '""'
    if not _NAME.fullmatch(key):
        return "*"
    return key if len(key) <= MAX_KEY_CHARACTERS else f"{key[:MAX_KEY_CHARACTERS]}…"
