"""One row for each stored audit: the columns of its verdict, and what the audit says besides. Pure.

The row has the image, policy and time of the live verdict. `decision`, `status`, `reasons` and the scores are those of
the audit, and null for an image that was left out.
"""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from service.settings.settings import MIN_AUDIT_SHARE
from service.tools.evaluation.stored.columns import (
    LONG,
    REAL,
    TEXT,
    Columns,
    NotAVerdictError,
    Row,
    fields_of,
    moment_of,
    row_of,
    verdict_schema,
)

_LIVE: Columns = {
    "image_id": (TEXT, None, "image_id"),
    "tenant": (TEXT, None, "tenant"),
    "policy_name": (TEXT, "policy", "name"),
    "policy_version": (TEXT, "policy", "version"),
    "policy_hash": (TEXT, "policy", "hash"),
    "source_topic": (TEXT, "source", "topic"),
    "source_partition": (LONG, "source", "partition"),
    "source_offset": (LONG, "source", "offset"),
    "event_id": (TEXT, "source", "event_id"),
    "event_source": (TEXT, "source", "event_source"),
    "attempt": (LONG, None, "attempt"),
}
_AUDIT: Columns = {"share": (REAL, None, "share"), "left_out": (TEXT, None, "left_out")}

_AUDIT_TYPES: tuple[tuple[str, pa.DataType], ...] = (
    ("share", REAL.type),
    ("left_out", TEXT.type),
    ("audited_at", pa.timestamp("us", tz="UTC")),
)


def audit_schema(own_categories: Iterable[str] = ()) -> pa.Schema:
    """Return the columns of a table of audits."""
    return pa.schema([*_AUDIT_TYPES, *verdict_schema(own_categories)])


def audit_row_of(document: object) -> Row:
    """Return an audit as a row; raise `NotAVerdictError` for what is none."""
    if not isinstance(document, dict):
        raise NotAVerdictError("it is no JSON object")
    live: Any = document.get("live")
    if not isinstance(live, dict):
        raise NotAVerdictError("its live decision is missing")
    row = fields_of({**document, "policy": live.get("policy")}, _LIVE) | fields_of(document, _AUDIT)
    if not row["image_id"] or not row["tenant"]:
        raise NotAVerdictError("its image_id or its tenant is missing")
    if row["share"] is None or not MIN_AUDIT_SHARE <= row["share"] <= 1:
        raise NotAVerdictError(f"its share is no number from {MIN_AUDIT_SHARE:g} to 1")
    verdict = document.get("verdict")
    if (verdict is None) == (row["left_out"] is None):
        raise NotAVerdictError("it has neither a verdict nor a reason for having none, or both")
    row["moderated_at"] = moment_of(document.get("moderated_at"))
    audited = {} if verdict is None else row_of(verdict)
    return audited | row | {"audited_at": audited.get("moderated_at")}
