"""Reads audits and live decisions of an archive, and people's labels, as the estimate of misses takes them."""

import csv
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import orjson

from service.core.errors import FatalError
from service.policy.taxonomy import NAMES
from service.telemetry.plain_text import one_line
from service.tools.evaluation.sampling.audits import ChosenImage, LiveCounts
from service.tools.evaluation.sampling.errors import LabelsInvalidError
from service.tools.evaluation.sampling.label_sheet import unquoted
from service.tools.evaluation.sampling.labelled_sheet import WrongRowError, labels_of
from service.tools.evaluation.stored.stored_audits import opened_audits
from service.tools.evaluation.stored.stored_verdicts import Progress

MAX_CHOSEN = 2_000_000
"""Of 1 KB each in memory. More make no interval narrower that anyone could use."""
_MAX_LABEL_BYTES = 64 * 1024 * 1024
_FLAGS = frozenset({"review", "block"})
_ROWS = 10_000

_CHOSEN = """
    SELECT * FROM audits WHERE {until}
    QUALIFY row_number() OVER (
        PARTITION BY source_topic, source_partition, source_offset, event_id, tenant, image_id
        ORDER BY left_out NULLS FIRST
    ) = 1
"""
"""A record that came twice counts once; an audit of it comes before that it was left out."""

Labels = Mapping[tuple[str, str], frozenset[str]]
"""Categories that an image shows, by tenant and image id."""


class TooManyAuditsError(FatalError):
    """There are more audits than can be held in memory."""

    reason = "audits.too_many"
    message = (
        "{place} holds {found:,} audits of that time, and {limit:,} are read at most: narrow it by --since, --until"
    )


@dataclass(frozen=True, slots=True)
class StoredMisses:
    """What an archive knows of audits."""

    chosen: tuple[ChosenImage, ...]
    live: Mapping[str, LiveCounts]
    """By policy, from its first audit to its last."""


def read_misses(
    place: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    labels: Labels | None = None,
    on_progress: Progress = lambda done, total: None,
) -> StoredMisses:
    """Read an archive's audits of a time with its live decisions.

    Raises `NoAuditsError`, `TooManyAuditsError` and the errors of `opened_audits`.
    """
    with opened_audits(place, since=since, on_progress=on_progress) as connection:
        before = "true" if until is None else f"moderated_at < TIMESTAMPTZ '{until.astimezone(UTC).isoformat()}'"
        connection.execute(f"CREATE TEMP TABLE chosen AS {_CHOSEN.format(until=before)}")
        (found,) = connection.execute("SELECT count(*) FROM chosen").fetchone() or (0,)
        if found > MAX_CHOSEN:
            raise TooManyAuditsError(place=place, found=found, limit=MAX_CHOSEN)
        return StoredMisses(_chosen(connection, labels or {}), _live(connection))


def read_labels(path: Path, categories: Collection[str] = ()) -> dict[tuple[str, str], frozenset[str]]:
    """Return the labels of a CSV file with the columns tenant, image_id and labels; raises `LabelsInvalidError`.

    Labels name the taxonomy's categories and further ones given here; none stands for an image that shows none. An
    image with an empty cell, or with skip, has no label.
    """
    content = path.read_bytes()[: _MAX_LABEL_BYTES + 1]
    if len(content) > _MAX_LABEL_BYTES:
        raise LabelsInvalidError(problems=f"{path}: it has more than {_MAX_LABEL_BYTES:,} bytes")
    try:
        lines = csv.DictReader(content.decode("utf-8-sig").splitlines(), strict=True)
        missing = [name for name in ("tenant", "image_id", "labels") if name not in (lines.fieldnames or ())]
        if missing:
            raise LabelsInvalidError(problems=f"{path}:1: the columns {', '.join(missing)} are missing")
        known, found = frozenset((*NAMES, *categories)), {}
        for row in lines:
            try:
                labels = labels_of(row["labels"] or "", known)
            except WrongRowError as error:
                raise LabelsInvalidError(problems=f"{path}:{lines.line_num}: {error}") from None
            if labels is not None:
                found[unquoted(row["tenant"]), unquoted(row["image_id"])] = labels
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabelsInvalidError(problems=f"{path}: it is no CSV file in UTF-8: {one_line(str(error))}") from None
    return found


def _chosen(connection: duckdb.DuckDBPyConnection, labels: Labels) -> tuple[ChosenImage, ...]:
    rows = connection.execute(
        "SELECT tenant, image_id, coalesce(policy_name, ''), moderated_at::DATE, share,"
        " left_out IS NULL AND status = 'moderated', decision,"
        " CASE WHEN decision <> 'allow' THEN reasons END, NOT contains(coalesce(source_topic, ''), '/') FROM chosen"
    )
    found = []
    while batch := rows.fetchmany(_ROWS):
        for tenant, image_id, policy, day, share, is_audited, decision, reasons, is_stored in batch:
            images = flagged_categories(reasons) if is_audited else None
            flagged = bool(is_audited and decision in _FLAGS)
            label = labels.get((tenant, image_id)) if is_audited else None
            found.append(ChosenImage(tenant, image_id, policy, day, share, images, flagged, label, is_stored))
    return tuple(found)


def _live(connection: duckdb.DuckDBPyConnection) -> dict[str, LiveCounts]:
    """Return what each policy decided live between its first and its last chosen image."""
    rows = connection.execute(
        "SELECT coalesce(v.policy_name, '') policy, v.decision, CASE WHEN v.decision <> 'allow' THEN v.reasons END,"
        " count(*) FROM verdicts v JOIN"
        " (SELECT coalesce(policy_name, '') policy, min(moderated_at) first, max(moderated_at) last FROM chosen"
        " GROUP BY ALL) c ON coalesce(v.policy_name, '') = c.policy AND v.moderated_at BETWEEN c.first AND c.last"
        " WHERE v.status = 'moderated' GROUP BY ALL"
    )
    allowed: Counter[str] = Counter()
    flagged: dict[str, Counter[str | None]] = {}
    while batch := rows.fetchmany(_ROWS):
        for policy, decision, reasons, count in batch:
            if decision == "allow":
                allowed[policy] += count
                continue
            counts = flagged.setdefault(policy, Counter())
            for category in (None, *flagged_categories(reasons)):
                counts[category] += count
    return {policy: LiveCounts(allowed[policy], flagged.get(policy, {})) for policy in {*allowed, *flagged}}


def flagged_categories(reasons: str | None) -> frozenset[str]:
    """Return the categories for which reasons call for review or block; of what is no list of reasons, none."""
    try:
        parsed = orjson.loads(reasons or "[]")
    except orjson.JSONDecodeError:
        return frozenset()
    each = parsed if isinstance(parsed, list) else ()
    return frozenset(
        one["category"]
        for one in each
        if isinstance(one, dict) and one.get("decision") in _FLAGS and isinstance(one.get("category"), str)
    )
