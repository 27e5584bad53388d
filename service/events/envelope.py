"""CloudEvents 1.0 on Kafka: the form of a record, and the attributes around its data. The official SDK writes them."""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from cloudevents.core.bindings.kafka import to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from pydantic import TypeAdapter, ValidationError

from schemas.base import UtcTime
from service.core.records import Headers
from service.events.attributes import check_attributes
from service.events.codec_errors import CloudEventInvalidError, EventNotJsonError
from service.events.structure import check_structure

_PREFIX = "ce_"
_CONTENT_TYPE = "content-type"
_STRUCTURED_FAMILY = b"application/cloudevents"
_STRUCTURED_JSON = b"application/cloudevents+json"
_TIME: TypeAdapter[datetime | None] = TypeAdapter(UtcTime | None)


@dataclass(frozen=True, slots=True)
class Envelope:
    """The attributes of a CloudEvent."""

    type: str
    id: str
    source: str
    time: datetime | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A record's data, as JSON text or parsed, and its envelope, if it has one."""

    envelope: Envelope | None
    data: object


_FORMAT = JSONFormat()


def open_record(value: bytes, headers: Headers) -> Opened:
    """Distinguish binary mode, structured mode and a bare value, and take the data out.

    Raises `CloudEventInvalidError`, and for a structured event `EventNotJsonError` and `EventTooComplexError`.
    """
    known = _cloudevents_headers(headers)
    media_type = known.get(_CONTENT_TYPE, b"").partition(b";")[0].strip().lower()
    if media_type.startswith(_STRUCTURED_FAMILY):
        return _open_structured(value, media_type)
    if any(name != _CONTENT_TYPE for name in known):
        return _open_binary(value, known)
    return Opened(envelope=None, data=value)


def write_binary(attributes: dict[str, Any], data: bytes) -> Headers:
    """Return the headers of an event in binary mode."""
    return tuple(to_binary(CloudEvent(attributes, data), _FORMAT).headers.items())


def _cloudevents_headers(headers: Headers) -> dict[str, bytes]:
    """Keep what concerns CloudEvents; of repeated headers the last counts, as in Kafka's own clients."""
    return {
        name.lower(): value
        for name, value in headers
        # Kafka allows null as a header's value, and clients hand it on.
        if value is not None and (name[:3].lower() == _PREFIX or name.lower() == _CONTENT_TYPE)
    }


def _open_structured(value: bytes, media_type: bytes) -> Opened:
    """Read attributes from the value."""
    if media_type != _STRUCTURED_JSON:
        raise CloudEventInvalidError(detail=f"of the structured formats only {_STRUCTURED_JSON.decode()} is read")
    attributes = _parse_object(value)
    encoded, data = attributes.pop("data_base64", None), attributes.pop("data", None)
    envelope = _envelope(attributes)
    if encoded is None:
        return Opened(envelope, data)
    if data is not None:
        raise CloudEventInvalidError(detail="data and data_base64 stand beside each other")
    return Opened(envelope, _decode_base64(encoded))


def _open_binary(value: bytes, headers: dict[str, bytes]) -> Opened:
    """Read attributes from headers."""
    attributes: dict[str, object] = {}
    try:
        for name, text in headers.items():
            attributes["datacontenttype" if name == _CONTENT_TYPE else name[len(_PREFIX) :]] = text.decode()
    except UnicodeDecodeError:
        problem = "an attribute is not UTF-8"
    else:
        return Opened(_envelope(attributes), value)
    raise CloudEventInvalidError(detail=problem)


def _envelope(attributes: dict[str, Any]) -> Envelope:
    time = _parse_time(attributes.pop("time", None))
    check_attributes(attributes)
    return Envelope(type=attributes["type"], id=attributes["id"], source=attributes["source"], time=time)


def _parse_object(value: bytes) -> dict[str, Any]:
    """Return the attributes that are set; null means not set."""
    try:
        parsed = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        detail = str(error)
    else:
        if isinstance(parsed, dict):
            return {name: value for name, value in parsed.items() if value is not None}
        raise CloudEventInvalidError(detail="a structured event is a JSON object")
    raise EventNotJsonError(detail=detail)


def _parse_time(value: object) -> datetime | None:
    try:
        return _TIME.validate_python(value)
    except ValidationError:
        pass  # raised below, away from an exception that holds the value
    raise CloudEventInvalidError(detail="attributes at fault: time (not RFC 3339)")


def _decode_base64(encoded: object) -> bytes:
    try:
        data = base64.b64decode(encoded, validate=True)  # type: ignore[arg-type]  # what is no text is refused
    except (TypeError, ValueError):
        pass  # raised below, away from an exception that may hold the value
    else:
        check_structure(data)
        return data
    raise CloudEventInvalidError(detail="data_base64 is not base64")
