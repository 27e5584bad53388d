"""Reasons why a record is not an upload event.

No message holds any part of the payload, so captions and URLs stay out of logs.
"""

from service.core.errors import RejectedError


class EventEmptyError(RejectedError):
    """The record has a key at most: a tombstone, or an event without data."""

    reason = "event.empty"
    message = "The record holds no event"


class EventTooLargeError(RejectedError):
    """Reading the event would hold up the service for longer than one record may."""

    reason = "event.too_large"
    message = "The event has {size_bytes} bytes; at most {limit_bytes} are read (kafka.max_event_bytes)"


class EventTooComplexError(RejectedError):
    """The event has more values than any upload: building them would hold up the service."""

    reason = "event.too_complex"
    message = "The event has more than {limit} commas and opening brackets; an upload needs a few dozen"


class TooManyHeadersError(RejectedError):
    """The record has more headers than any upload."""

    reason = "event.too_many_headers"
    message = "The record has more than {limit} headers"


class EventNotJsonError(RejectedError):
    """The bytes are no JSON text in UTF-8."""

    reason = "event.not_json"
    message = "The event is not JSON: {detail}"


class EventInvalidError(RejectedError):
    """The JSON does not fit the message's schema."""

    reason = "event.invalid"
    message = "The event does not fit {schema}: {detail}"


class CloudEventInvalidError(RejectedError):
    """The headers or the structured form claim a CloudEvent and break its rules."""

    reason = "event.cloudevent_invalid"
    message = "The CloudEvents envelope cannot be read: {detail}"


class EventTypeUnsupportedError(RejectedError):
    """The event is something else than an upload."""

    reason = "event.unsupported_type"
    message = "The CloudEvents type is not {expected}"


class EventVersionUnsupportedError(RejectedError):
    """The event is an upload in a version that this service does not know."""

    reason = "event.unsupported_version"
    message = "The CloudEvents type has version {version} of the message, and only {expected} is known"
