"""Records ↔ messages of the contract. Pure: bytes and headers in, models out, and the other way round."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from pydantic import ValidationError

from schemas.audit import AuditV1
from schemas.image_uploaded import ImageUploadedV1
from schemas.registry import AUDIT_V1, IMAGE_UPLOADED_V1, SHADOW_DECISION_V1, TAGS_V1, VERDICT_V1, MessageVersion
from schemas.shadow import ShadowDecisionV1
from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.core.headers import without_ours
from service.core.records import MAX_HEADERS, Headers, OutgoingRecord, SourceRecord
from service.events.codec_errors import (
    EventEmptyError,
    EventTooLargeError,
    EventTypeUnsupportedError,
    EventVersionUnsupportedError,
    TooManyHeadersError,
)
from service.events.envelope import Envelope, open_record, write_binary
from service.events.event_faults import event_rejection, structured_hint
from service.events.structure import check_structure
from service.settings.kafka import DEFAULT_MAX_EVENT_BYTES

# The CloudEvents source of outcomes; with it, an id names one outcome for good.
OUTCOME_SOURCE = "/modstream"
# Any constant would do; it must never change, because consumers spot repeats by the ids made from it.
_ID_NAMESPACE = UUID("5b0f1c0e-6a2b-5f57-9f43-0d1f5d1f9a3e")
_VERSIONED_UPLOAD = re.compile(rf"{re.escape(IMAGE_UPLOADED_V1.event_family)}\.v([0-9]{{1,6}})")


@dataclass(frozen=True, slots=True)
class UploadEvent:
    """A decoded upload event, with its CloudEvents attributes."""

    event: ImageUploadedV1
    envelope: Envelope | None
    """Attributes of the CloudEvent. None for a bare JSON value."""


def decode_upload(record: SourceRecord, *, max_bytes: int = DEFAULT_MAX_EVENT_BYTES) -> UploadEvent:
    """Read an upload in CloudEvents binary mode, in structured mode, or as bare JSON without headers.

    Raises a `RejectedError` with a reason code `event.…` for everything else, and nothing but that. Size, values and
    headers are bounded before anything is built from them, because no other event is read meanwhile.
    """
    if not record.value:
        raise EventEmptyError
    _check_bounds(record.value, record.headers, max_bytes)
    opened = open_record(record.value, record.headers)
    if opened.envelope is not None:
        _check_type(opened.envelope.type)
    if opened.data is None:
        raise EventEmptyError
    return UploadEvent(_validate(opened.data, bare=opened.envelope is None), opened.envelope)


def encode_verdict(
    verdict: VerdictV1, *, topic: str, source: SourceRecord, trace_headers: Headers = ()
) -> OutgoingRecord:
    """Write a verdict in binary mode, under the key of the record that it answers."""
    attributes = _outcome_attributes(VERDICT_V1, source) | _about(verdict.image_id, verdict.moderated_at)
    body = verdict.model_dump_json().encode()
    return _outgoing(body, attributes, topic=topic, key=source.key, trace_headers=trace_headers)


def encode_tags(tags: TagsV1, *, topic: str, source: SourceRecord, trace_headers: Headers = ()) -> OutgoingRecord:
    """Write tags in binary mode, under the key of the record that they answer."""
    attributes = _outcome_attributes(TAGS_V1, source) | _about(tags.image_id, tags.tagged_at)
    body = tags.model_dump_json().encode()
    return _outgoing(body, attributes, topic=topic, key=source.key, trace_headers=trace_headers)


def encode_shadow(decision: ShadowDecisionV1, *, topic: str, source: SourceRecord) -> OutgoingRecord:
    """Write what shadows decide in binary mode, under the key of the record that the verdict answers."""
    of = "policies" if decision.engine is None else "engine"
    outcome = _outcome_attributes(SHADOW_DECISION_V1, source)
    # One record about the policies and one about the engine may answer the same upload.
    identity = {"id": str(uuid5(_ID_NAMESPACE, f"{outcome['id']}/{of}"))}
    attributes = outcome | identity | _about(decision.image_id, decision.moderated_at)
    body = decision.model_dump_json().encode()
    return _outgoing(body, attributes, topic=topic, key=source.key, trace_headers=())


def encode_audit(audit: AuditV1, *, topic: str, source: SourceRecord) -> OutgoingRecord:
    """Write an audit in binary mode, under the key of the record that the live verdict answers."""
    attributes = _outcome_attributes(AUDIT_V1, source) | _about(audit.image_id, audit.moderated_at)
    return _outgoing(audit.model_dump_json().encode(), attributes, topic=topic, key=source.key, trace_headers=())


def encode_upload(
    event: ImageUploadedV1,
    *,
    topic: str,
    event_id: str,
    source: str,
    time: datetime,
    trace_headers: Headers = (),
) -> OutgoingRecord:
    """Write an upload in binary mode, keyed by the image's id; `source` is the sender as a URI reference."""
    attributes = {"type": IMAGE_UPLOADED_V1.event_type, "id": event_id, "source": source} | _about(event.image_id, time)
    # What stands at its default says nothing, and a short event shows how little is needed.
    body = event.model_dump_json(exclude_defaults=True).encode()
    return _outgoing(body, attributes, topic=topic, key=event.image_id.encode(), trace_headers=trace_headers)


def outcome_id(message: MessageVersion, source: SourceRecord) -> str:
    """Return the CloudEvents id of the outcome of one record: always the same, so that a repeat can be spotted.

    The timestamp distinguishes records that had the same offset before and after a topic was recreated.
    """
    place = f"{source.topic}/{source.partition}/{source.offset}/{source.timestamp_ms}"
    return str(uuid5(_ID_NAMESPACE, f"{message.event_type}/{place}"))


def _check_bounds(value: bytes, headers: Headers, max_bytes: int) -> None:
    if len(value) > max_bytes:
        raise EventTooLargeError(size_bytes=len(value), limit_bytes=max_bytes)
    if len(headers) > MAX_HEADERS and len(without_ours(headers)) > MAX_HEADERS:
        raise TooManyHeadersError(limit=MAX_HEADERS)
    check_structure(value)


def _check_type(event_type: str) -> None:
    if event_type == IMAGE_UPLOADED_V1.event_type:
        return
    versioned = _VERSIONED_UPLOAD.fullmatch(event_type)
    if versioned:
        raise EventVersionUnsupportedError(version=int(versioned[1]), expected=IMAGE_UPLOADED_V1.event_type)
    raise EventTypeUnsupportedError(expected=IMAGE_UPLOADED_V1.event_type)


def _validate(data: object, *, bare: bool) -> ImageUploadedV1:
    validate: Callable[..., ImageUploadedV1] = (
        ImageUploadedV1.model_validate_json if isinstance(data, bytes) else ImageUploadedV1.model_validate
    )
    try:
        return validate(data)
    except ValidationError as error:
        rejection = event_rejection(error, hint=structured_hint(data) if bare else "")
    # Raised here and not above, where it would carry pydantic's error along, and with it the payload.
    raise rejection


def _outcome_attributes(message: MessageVersion, source: SourceRecord) -> dict[str, object]:
    return {"type": message.event_type, "id": outcome_id(message, source), "source": OUTCOME_SOURCE}


def _about(image_id: str, time: datetime) -> dict[str, object]:
    return {"specversion": "1.0", "subject": image_id, "time": time, "datacontenttype": "application/json"}


def _outgoing(
    body: bytes, attributes: dict[str, object], *, topic: str, key: bytes | None, trace_headers: Headers
) -> OutgoingRecord:
    return OutgoingRecord(topic, key, body, (*write_binary(attributes, body), *trace_headers))
