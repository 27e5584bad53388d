"""Pure: reads the event of a record that may be invalid, as far as possible."""

import contextlib
from typing import Any

import orjson

from service.core.errors import RejectedError
from service.core.records import SourceRecord
from service.events.envelope import open_record

DEFAULT_TENANT = "default"
"""What the contract takes an event for that names none."""

_MAX_TENANT_CHARACTERS = 256


def event_of(record: SourceRecord) -> dict[str, Any] | None:
    """Return the event's fields without a check; None if the value is not a JSON object."""
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
    """Return the event's tenant; None if the event cannot be read."""
    event = event_of(record)
    if event is None:
        return None
    tenant = event.get("tenant")
    return tenant[:_MAX_TENANT_CHARACTERS] if isinstance(tenant, str) else DEFAULT_TENANT
