"""Records ↔ decisions of reviewers. Pure: bytes and headers in, models out, and the other way round."""

from datetime import datetime

from pydantic import ValidationError

from schemas.registry import REVIEW_DECIDED_V1
from schemas.review_decided import ReviewDecidedV1
from service.core.records import OutgoingRecord, SourceRecord
from service.core.validation_text import placed_text_of
from service.events.codec_errors import EventEmptyError, EventInvalidError, EventTypeUnsupportedError
from service.events.envelope import open_record, write_binary
from service.events.structure import check_structure
from service.telemetry.plain_text import one_line

MAX_REVIEW_BYTES = 256 * 1024
"""The longest URL and caption, and 128 categories with scores, take some 80 KB."""

_FAULT_CHARACTERS = 200


def decode_review(record: SourceRecord) -> ReviewDecidedV1:
    """Read a review in CloudEvents binary mode, in structured mode, or as bare JSON without headers.

    Raises a `RejectedError` with a reason code `event.…` for everything else, and nothing but that.
    """
    if not record.value:
        raise EventEmptyError
    if len(record.value) > MAX_REVIEW_BYTES:
        detail = f"it has {len(record.value):,} bytes, and at most {MAX_REVIEW_BYTES:,} are read"
        raise EventInvalidError(schema=REVIEW_DECIDED_V1.slug, detail=detail)
    check_structure(record.value)
    opened = open_record(record.value, record.headers)
    if opened.envelope is not None and opened.envelope.type != REVIEW_DECIDED_V1.event_type:
        raise EventTypeUnsupportedError(expected=REVIEW_DECIDED_V1.event_type)
    if opened.data is None:
        raise EventEmptyError
    return review_of(opened.data)


def review_of(data: object) -> ReviewDecidedV1:
    """Return a review from its JSON text or its parsed value; raise `EventInvalidError` with the first fault."""
    try:
        if isinstance(data, bytes):
            return ReviewDecidedV1.model_validate_json(data)
        return ReviewDecidedV1.model_validate(data)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        detail = one_line(placed_text_of(fault), at_most=_FAULT_CHARACTERS)
    raise EventInvalidError(schema=REVIEW_DECIDED_V1.slug, detail=detail)


def encode_review(review: ReviewDecidedV1, *, topic: str, event_id: str, source: str) -> OutgoingRecord:
    """Write a review in binary mode, keyed by the image's id; `source` is the review tool as a URI reference."""
    attributes = _attributes(review.image_id, review.decided_at, event_id=event_id, source=source)
    body = review.model_dump_json(exclude_defaults=True).encode()
    return OutgoingRecord(topic, review.image_id.encode(), body, write_binary(attributes, body))


def _attributes(image_id: str, time: datetime, *, event_id: str, source: str) -> dict[str, object]:
    return {
        "type": REVIEW_DECIDED_V1.event_type,
        "id": event_id,
        "source": source,
        "specversion": "1.0",
        "subject": image_id,
        "time": time,
        "datacontenttype": "application/json",
    }
