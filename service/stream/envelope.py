"""CloudEvents 1.0 on Kafka through the official SDK: which form a record has, and what is around its data."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, to_binary
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import OPTIONAL_ATTRIBUTES, REQUIRED_ATTRIBUTES, CloudEvent
from pydantic import TypeAdapter, ValidationError

from schemas.base import UtcTime
from service.stream.codec_errors import CloudEventInvalidError, EventNotJsonError
from service.stream.records import Headers

_PREFIX = "ce_"
_CONTENT_TYPE = "content-type"
_TIME_HEADER = "ce_time"
_STRUCTURED_FAMILY = b"application/cloudevents"
_STRUCTURED_JSON = b"application/cloudevents+json"
_TIME: TypeAdapter[datetime | None] = TypeAdapter(UtcTime | None)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a CloudEvent says about its data."""

    type: str
    id: str
    source: str
    time: datetime | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A record's data, still JSON text or already parsed, and the envelope it came in, if any."""

    envelope: Envelope | None
    data: object


class _DataAsIs(JSONFormat):
    """The SDK's JSON format less its parsing of data, which the models do."""

    def read_data(self, body: bytes, datacontenttype: str | None) -> bytes:
        """Return the value of binary mode as it is."""
        return body


_FORMAT = _DataAsIs()


def open_record(value: bytes, headers: Headers) -> Opened:
    """Tell binary mode, structured mode and a bare value apart, and take the data out.

    Raises `CloudEventInvalidError`, and `EventNotJsonError` for a structured event that is no JSON.
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
    """Read attributes from the value.

    The SDK checks them; its parser is left out because it fails in a dozen ways on what is no event.
    """
    if media_type != _STRUCTURED_JSON:
        raise CloudEventInvalidError(detail=f"of the structured formats only {_STRUCTURED_JSON.decode()} is read")
    attributes = _parse_object(value)
    _require(attributes)
    time = _parse_time(attributes.pop("time", None))
    data = _take_data(attributes)
    try:
        event = CloudEvent(attributes)
    except CloudEventValidationError as error:
        problem = _describe(error)
    else:
        return Opened(_envelope(event, time), data)
    raise CloudEventInvalidError(detail=problem)


def _open_binary(value: bytes, headers: dict[str, bytes]) -> Opened:
    """Read attributes from headers.

    The SDK sees neither the key, which it would decode as text, nor the time, which costs it as much as all the rest.
    """
    _require(name.removeprefix(_PREFIX) for name in headers)
    time = _parse_time(headers.pop(_TIME_HEADER, None))
    try:
        event = from_binary(KafkaMessage(headers, None, value), _FORMAT, CloudEvent)
    except CloudEventValidationError as error:
        problem = _describe(error)
    except UnicodeDecodeError:
        problem = "an attribute is not UTF-8"
    else:
        return Opened(_envelope(event, time), value)
    raise CloudEventInvalidError(detail=problem)


def _envelope(event: BaseCloudEvent, time: datetime | None) -> Envelope:
    return Envelope(type=event.get_type(), id=event.get_id(), source=event.get_source(), time=time)


def _require(names: Iterable[str]) -> None:
    """The SDK invents an id and a version where there is none."""
    present = frozenset(names)
    missing = [name for name in REQUIRED_ATTRIBUTES if name not in present]
    if missing:
        raise CloudEventInvalidError(detail=f"missing attributes: {', '.join(missing)}")


def _describe(error: CloudEventValidationError) -> str:
    """Name the attributes at fault; names of extensions are the sender's text, so they are not repeated."""
    standard = {*REQUIRED_ATTRIBUTES, *OPTIONAL_ATTRIBUTES}
    names = sorted(name if name in standard else "an extension" for name in error.errors)
    return f"attributes at fault: {', '.join(dict.fromkeys(names))}"


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
    """Read the time attribute; the SDK would make one up where there is none."""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    try:
        return _TIME.validate_python(text)
    except ValidationError:
        pass  # raised below, away from an exception that holds the value
    raise CloudEventInvalidError(detail="attributes at fault: time")


def _take_data(attributes: dict[str, Any]) -> object:
    """Take the data out: a JSON value, or bytes that were written in base64."""
    encoded = attributes.pop("data_base64", None)
    data = attributes.pop("data", None)
    if encoded is None:
        return data
    try:
        return base64.b64decode(encoded, validate=True)
    except (TypeError, ValueError):
        pass  # raised below, away from an exception that may hold the value
    raise CloudEventInvalidError(detail="data_base64 is not base64")
