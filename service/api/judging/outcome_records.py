"""Records of the topics of outcomes, as they are kept to be asked for."""

from collections.abc import Iterable

import orjson

from schemas.image_uploaded import DEFAULT_TENANT
from service.api.judging.stored_outcomes import Kind, StoredOutcomes
from service.api.models import ErrorDetail
from service.core.headers import MESSAGE, REASON
from service.core.records import Headers, SourceRecord
from service.events.raw_event import event_of
from service.settings.delivery import TopicSettings

_SUBJECT = "ce_subject"
_MAX_TEXT_CHARACTERS = 4000
"""Of a failure's message: ours are shorter, and others may write to the topic, too."""
_MAX_ID_CHARACTERS = 256
"""As the contract allows."""


def keep_records(store: StoredOutcomes, records: Iterable[SourceRecord], topics: TopicSettings) -> None:
    """Keep the outcomes in records; what is none is left out."""
    for record in records:
        if record.value is None or record.unreadable is not None:
            continue
        if record.topic == topics.dead_letters:
            _keep_failure(store, record)
        elif image_id := _text(record.headers, _SUBJECT):
            kind: Kind = "verdict" if record.topic == topics.verdicts else "tags"
            store.keep(image_id, kind, record.value, tenant=_tenant(record.value))


def _tenant(value: bytes) -> str:
    """Return the tenant of a verdict or of tags; empty, which no tenant is, for what is neither."""
    try:
        message = orjson.loads(value)
    except orjson.JSONDecodeError:
        return ""
    tenant = message.get("tenant") if isinstance(message, dict) else None
    return tenant if isinstance(tenant, str) else ""


def _keep_failure(store: StoredOutcomes, record: SourceRecord) -> None:
    """Keep the reason of a dead letter; its value is the upload event, which may be large, or no event at all."""
    reason, event = _text(record.headers, REASON), event_of(record)
    if not reason or event is None:
        return
    image_id = _text(record.headers, _SUBJECT) or event.get("image_id")
    tenant = event.get("tenant") or DEFAULT_TENANT
    if image_id and isinstance(image_id, str) and isinstance(tenant, str):
        message = _text(record.headers, MESSAGE)[:_MAX_TEXT_CHARACTERS]
        error = ErrorDetail(message=message, type="dead_letter", code=reason)
        store.keep(image_id[:_MAX_ID_CHARACTERS], "failure", error.model_dump_json().encode(), tenant=tenant)


def _text(headers: Headers, name: str) -> str:
    """Return a header as text, empty where there is none; of repeated headers the last counts."""
    for found, value in reversed(headers):
        if found == name:
            return (value or b"").decode(errors="replace")
    return ""
