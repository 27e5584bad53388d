"""One row for each record that an archive keeps: verdicts, tags, dead letters and audits. Pure."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import orjson
import pyarrow as pa

from service.core.headers import ATTEMPT, FAILED_AT, LAST_MS, MESSAGE, REASON
from service.core.records import SourceRecord
from service.delivery.origin import parsed_origin
from service.events.raw_event import event_of, tenant_of
from service.settings.delivery import TopicSettings
from service.tools.evaluation.stored.archive_layout import Table, partition_of
from service.tools.evaluation.stored.audit_columns import audit_row_of, audit_schema
from service.tools.evaluation.stored.columns import (
    FLAG,
    LONG,
    TEXT,
    TIME,
    Columns,
    NotAVerdictError,
    Row,
    fields_of,
    json_text,
    moment_of,
    own_categories_of,
    row_of,
    verdict_schema,
)

_MAX_TEXT_BYTES = 4_000
"""Of a header: ours are shorter, and others may write to the topic."""
_MAX_ID_CHARACTERS = 256

_TAGS: Columns = {
    "image_id": (TEXT, None, "image_id"),
    "tenant": (TEXT, None, "tenant"),
    "tagged_at": (TIME, None, "tagged_at"),
    "attribute_schema": (TEXT, None, "attribute_schema"),
    "complete": (FLAG, None, "complete"),
    "engine": (TEXT, None, "engine"),
    "model_name": (TEXT, "model", "name"),
    "model_revision": (TEXT, "model", "revision"),
    "adapter": (TEXT, "model", "adapter"),
    "precision": (TEXT, "model", "precision"),
    "runtime": (TEXT, "model", "runtime"),
    "prompt_hash": (TEXT, None, "prompt_hash"),
    "sha256": (TEXT, "image", "sha256"),
    "attempt": (LONG, None, "attempt"),
    "source_topic": (TEXT, "source", "topic"),
    "source_partition": (LONG, "source", "partition"),
    "source_offset": (LONG, "source", "offset"),
    "event_id": (TEXT, "source", "event_id"),
    "event_source": (TEXT, "source", "event_source"),
}
_TAGS_JSON = ("attributes", "context")

_TAGS_SCHEMA = pa.schema(
    [(name, kind.type) for name, (kind, _, _) in _TAGS.items()] + [(name, TEXT.type) for name in _TAGS_JSON]
)
_DEAD_LETTERS_SCHEMA = pa.schema(
    [
        ("image_id", TEXT.type),
        ("tenant", TEXT.type),
        ("failed_at", TIME.type),
        ("reason", TEXT.type),
        ("message", TEXT.type),
        ("attempt", LONG.type),
        ("source_topic", TEXT.type),
        ("source_partition", LONG.type),
        ("source_offset", LONG.type),
    ]
)
"""Without the event, which may hold the image itself."""


TABLES_WITH_CATEGORIES: frozenset[Table] = frozenset({"verdicts", "audits"})
"""Tables with columns for each category, policies' own included."""


class ArchivedRow(NamedTuple):
    """A row, and the folder of the archive that it belongs to."""

    table: Table
    folder: str
    row: Row


def schema_of(table: Table, rows: list[Row]) -> pa.Schema:
    """Return the columns of a table that holds some rows."""
    if table in TABLES_WITH_CATEGORIES:
        own = frozenset().union(*map(own_categories_of, rows))
        return verdict_schema(own) if table == "verdicts" else audit_schema(own)
    return _TAGS_SCHEMA if table == "tags" else _DEAD_LETTERS_SCHEMA


def empty_rows(table: str) -> pa.Table:
    """Return a table without rows."""
    return schema_of(table, []).empty_table()  # type: ignore[arg-type]  # the first part of a checked name


def archived_row(record: SourceRecord, topics: TopicSettings) -> ArchivedRow:
    """Return the row of a record of an outcome topic; raise `NotAVerdictError` for another message in it."""
    if record.topic == topics.dead_letters:
        row = _dead_letter(record)
        return ArchivedRow("dead_letters", partition_of("dead_letters", row["failed_at"], row["tenant"]), row)
    kinds: Mapping[str, tuple[Table, Callable[[object], Row]]] = {
        topics.verdicts: ("verdicts", row_of),
        topics.audit: ("audits", audit_row_of),
    }
    table, read = kinds.get(record.topic, ("tags", _tags))
    try:
        row = read(orjson.loads(record.value or b""))
    except orjson.JSONDecodeError:
        raise NotAVerdictError("it is no JSON") from None
    moment: datetime = row["tagged_at" if table == "tags" else "moderated_at"]
    return ArchivedRow(table, partition_of(table, moment, row["tenant"]), row)


def _tags(document: object) -> Row:
    if not isinstance(document, dict):
        raise NotAVerdictError("it is no JSON object")
    row = fields_of(document, _TAGS)
    if not row["image_id"] or not row["tenant"] or not isinstance(document.get("attributes"), dict):
        raise NotAVerdictError("its image_id, tenant or attributes are missing")
    row["tagged_at"] = moment_of(row["tagged_at"])
    return row | {name: None if document.get(name) is None else json_text(document[name]) for name in _TAGS_JSON}


def _dead_letter(record: SourceRecord) -> Row:
    """Return what headers and event say; what another program wrote into the topic is a row of nulls at worst."""
    event, headers, origin = event_of(record) or {}, dict(record.headers), parsed_origin(record.headers)
    image_id, attempt = event.get("image_id"), headers.get(ATTEMPT) or b""
    return {
        "image_id": image_id[:_MAX_ID_CHARACTERS] if isinstance(image_id, str) else None,
        "tenant": tenant_of(record),
        "failed_at": _failed_at(_text(headers.get(FAILED_AT)), record.timestamp_ms),
        "reason": _text(headers.get(REASON)),
        "message": _text(headers.get(MESSAGE)),
        "attempt": int(attempt) if attempt.isdigit() and len(attempt) < 10 else None,  # noqa: PLR2004 - others' are no count
        "source_topic": origin and origin.topic,
        "source_partition": origin and origin.partition,
        "source_offset": origin and origin.offset,
    }


def _text(value: bytes | None) -> str | None:
    return None if value is None else value[:_MAX_TEXT_BYTES].decode(errors="replace")


def _failed_at(text: str | None, timestamp_ms: int) -> datetime:
    """Return when a record failed; without a header that says it, when it was written."""
    try:
        return moment_of(text)
    except NotAVerdictError:
        return datetime.fromtimestamp(min(max(timestamp_ms, 0), LAST_MS) / 1000, UTC)
