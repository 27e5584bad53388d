"""One row for each stored verdict: the columns that archive, reports and SQL share. Pure.

A category has columns of its own. The taxonomy's categories always have them; those of a policy's own follow behind.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from schemas.base import Decision
from service.policy.taxonomy import NAMES

Document = Mapping[str, Any]
"""A verdict as its JSON has it, of any version that holds the fields of version 1."""

Row = dict[str, Any]
"""A value by column."""

MAX_OWN_CATEGORIES = 1_000
"""Each takes seven columns in every file."""
MAX_FRAMES = 4
"""As many of an image's highest scores have a column; no rule needs more frames."""

_CATEGORY = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""The names that policies allow. They begin with a letter, so no category has another one's columns of frames."""

_FEATURE = re.compile(r"[a-z0-9_.]{1,64}")
"""What viewers may show otherwise: names without a character that JSON escapes."""

_DECISIONS: frozenset[Decision] = frozenset({"allow", "review", "block"})
_STATUSES = frozenset({"moderated", "not_moderated"})

_MAX_LONG = 2**63 - 1
_MAX_WHOLE_REAL = 2**53
"""Arrow takes no whole number for a double that might lose digits."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of column, and which values of JSON it takes."""

    type: pa.DataType
    takes: Callable[[Any], bool]


TEXT = Kind(pa.string(), lambda value: type(value) is str)
LONG = Kind(pa.int64(), lambda value: type(value) is int and -_MAX_LONG <= value <= _MAX_LONG)
REAL = Kind(pa.float64(), lambda value: type(value) is float or (type(value) is int and abs(value) <= _MAX_WHOLE_REAL))
FLAG = Kind(pa.bool_(), lambda value: type(value) is bool)
LIST = Kind(
    pa.list_(pa.string()), lambda value: type(value) in (list, tuple) and all(type(entry) is str for entry in value)
)
TIME = Kind(pa.timestamp("us", tz="UTC"), lambda value: type(value) in (str, datetime))

Columns = Mapping[str, tuple[Kind, str | None, str]]
"""The kind of each column, and the field that it holds: the part of the message that it stands in, and its name."""

_COLUMNS: Columns = {
    "image_id": (TEXT, None, "image_id"),
    "tenant": (TEXT, None, "tenant"),
    "moderated_at": (TIME, None, "moderated_at"),
    "status": (TEXT, None, "status"),
    "decision": (TEXT, None, "decision"),
    "deciding_category": (TEXT, None, "deciding_category"),
    "engine": (TEXT, None, "engine"),
    "model_name": (TEXT, "model", "name"),
    "model_revision": (TEXT, "model", "revision"),
    "adapter": (TEXT, "model", "adapter"),
    "precision": (TEXT, "model", "precision"),
    "runtime": (TEXT, "model", "runtime"),
    "prompt_hash": (TEXT, None, "prompt_hash"),
    "label_map": (TEXT, None, "label_map"),
    "label_mass": (REAL, None, "label_mass"),
    "label_source": (TEXT, None, "label_source"),
    "preprocessing": (TEXT, None, "preprocessing"),
    "calibration": (TEXT, None, "calibration"),
    "calibration_file": (TEXT, None, "calibration_file"),
    "first_pass_decided": (FLAG, "first_pass", "decided"),
    "policy_name": (TEXT, "policy", "name"),
    "policy_version": (TEXT, "policy", "version"),
    "policy_hash": (TEXT, "policy", "hash"),
    "sha256": (TEXT, "image", "sha256"),
    "width": (LONG, "image", "width"),
    "height": (LONG, "image", "height"),
    "bytes": (LONG, "image", "bytes"),
    "media_type": (TEXT, "image", "media_type"),
    "frames_total": (LONG, "image", "frames"),
    "frames_judged": (LONG, "image", "frames_judged"),
    "attempt": (LONG, None, "attempt"),
    "total_ms": (REAL, "timings_ms", "total"),
    "source_topic": (TEXT, "source", "topic"),
    "source_partition": (LONG, "source", "partition"),
    "source_offset": (LONG, "source", "offset"),
    "event_id": (TEXT, "source", "event_id"),
    "event_source": (TEXT, "source", "event_source"),
    "not_covered": (LIST, None, "not_covered"),
}

_JSON = ("reasons", "timings_ms", "context", "frames", "views", "ambiguous", "first_pass")
"""Fields that are stored as JSON text. SQL looks for features in `ambiguous` by their quoted names."""
_NULL_IF_EMPTY = frozenset({"frames", "views", "ambiguous"})

FIXED_COLUMNS = (*_COLUMNS, *_JSON)
"""The names of all columns that belong to no category."""

_NUMBERS = frozenset({int, float})


class NotAVerdictError(ValueError):
    """A document lacks what every verdict has; the message says which field is wrong."""


def score_columns(category: str) -> tuple[str, ...]:
    """Return the columns of a category's scores: of the highest frame, then of the second to the fourth highest."""
    return (f"score_{category}", *(f"score_{rank}_{category}" for rank in range(2, MAX_FRAMES + 1)))


class _Names(NamedTuple):
    """The columns of one category."""

    scores: tuple[str, ...]
    uncalibrated: str
    asked: str
    hint: str


@lru_cache(maxsize=4_096)
def _names(category: str) -> _Names:
    return _Names(score_columns(category), f"uncalibrated_{category}", f"asked_{category}", f"hint_{category}")


def category_columns(category: str) -> Mapping[str, pa.DataType]:
    """Return all columns of a category with their types."""
    names = _names(category)
    return dict.fromkeys((*names.scores, names.uncalibrated), REAL.type) | {
        names.asked: FLAG.type,
        names.hint: FLAG.type,
    }


def verdict_schema(own_categories: Iterable[str] = ()) -> pa.Schema:
    """Return the columns of a table of verdicts; the categories of policies follow those of the taxonomy, sorted."""
    columns: dict[str, pa.DataType] = {name: kind.type for name, (kind, _, _) in _COLUMNS.items()}
    columns |= dict.fromkeys(_JSON, TEXT.type)
    for category in (*NAMES, *sorted(set(own_categories) - set(NAMES))):
        columns |= category_columns(category)
    return pa.schema(columns.items())


_KNOWN_COLUMNS = frozenset(verdict_schema().names)


def own_categories_of(columns: Iterable[str]) -> frozenset[str]:
    """Return the categories beyond the taxonomy that a table or a row has columns for.

    A file may have columns of any name: those that no category can have are ignored, and queries may rely on it.
    """
    further = frozenset(columns) - _KNOWN_COLUMNS
    return frozenset(filter(has_columns, (name[len("hint_") :] for name in further if name.startswith("hint_"))))


@lru_cache(maxsize=4_096)
def has_columns(category: str) -> bool:
    """Return whether a category can have columns: verdicts of others may name what no policy can."""
    return _CATEGORY.fullmatch(category) is not None


def row_of(document: object) -> Row:
    """Return a verdict as a row; a column that is missing from it is null. Raise `NotAVerdictError`."""
    if not isinstance(document, dict):
        raise NotAVerdictError("it is no JSON object")
    row = fields_of(document, _COLUMNS)
    row["moderated_at"] = moment_of(document.get("moderated_at"))
    if row["decision"] not in _DECISIONS or row["status"] not in _STATUSES:
        raise NotAVerdictError("its decision or its status is missing or unknown")
    if not row["image_id"] or not row["tenant"]:
        raise NotAVerdictError("its image_id or its tenant is missing")
    frames = _frames(document)
    if not all(map(_FEATURE.fullmatch, _names_in(document, "ambiguous"))):
        raise NotAVerdictError("its ambiguous has a name that no feature has")
    for name in _JSON:
        part = document.get(name)
        row[name] = None if part is None or (name in _NULL_IF_EMPTY and not part) else json_text(part)
    categories = frozenset(filter(has_columns, document["scores"]))
    row |= _by_frames(frames, categories) if frames else _by_category(document, categories)
    hints = _names_in(document, "hints")
    for category in categories:
        row[_names(category).hint] = category in hints
    return row


def fields_of(document: Document, columns: Columns) -> Row:
    """Return fields by column, None where one is missing; raise `NotAVerdictError` where a column does not take one."""
    row: Row = {}
    for name, (kind, part, field) in columns.items():
        within = document if part is None else document.get(part)
        value = within.get(field) if isinstance(within, dict) else None
        if value is not None and not kind.takes(value):
            raise NotAVerdictError(f"its {name} is of the wrong kind or too large")
        row[name] = value
    return row


def _frames(document: Document) -> Sequence[Document]:
    frames = document.get("frames") or ()
    if not isinstance(frames, list | tuple):
        raise NotAVerdictError("its frames are no list")
    _check_scores(document.get("scores"), "scores")
    for frame in frames:
        _check_scores(frame.get("scores") if isinstance(frame, dict) else None, "frames")
        if frame["scores"].keys() != document["scores"].keys():
            raise NotAVerdictError("its frames have scores of other categories than the verdict")
    return frames


def _names_in(part: Document, field: str) -> frozenset[str]:
    """Return a list of names; raise `NotAVerdictError` for another value."""
    names = part.get(field) or ()
    if not LIST.takes(names):
        raise NotAVerdictError(f"its {field} is no list of names")
    return frozenset(names)


def _uncalibrated_in(part: Document) -> Document:
    """Return the scores before calibration; raise `NotAVerdictError` for what are none."""
    scores = part.get("uncalibrated") or {}
    _check_scores(scores, "uncalibrated scores")
    return scores


def moment_of(value: object) -> datetime:
    """Return a time of RFC 3339, or one that a Parquet file holds, in UTC; raise `NotAVerdictError`."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise NotAVerdictError("its time is missing or not as in RFC 3339") from None


def _check_scores(scores: object, where: str) -> None:
    if not isinstance(scores, dict):
        raise NotAVerdictError(f"its {where} are missing or no object of scores")
    for category, score in scores.items():
        if not isinstance(category, str):
            raise NotAVerdictError(f"its {where} have a category that is no text")
        # NaN is not between 0 and 1 either.
        if type(score) not in _NUMBERS or not 0 <= score <= 1:
            raise NotAVerdictError(f"its score of {category[:64]!r} is no number from 0 to 1")


def json_text(part: object) -> str:
    """Return a part of a message as JSON text, keys in order; raise `NotAVerdictError` for one that is nested deep."""
    try:
        return orjson.dumps(part, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError as error:  # a Parquet file also holds values that JSON has no form for
        raise NotAVerdictError(f"a part of it cannot be written as JSON ({str(error)[:100]})") from None


def _by_category(document: Document, categories: Iterable[str]) -> Row:
    """Return scores, and how they came about, of a verdict about one frame."""
    asked, uncalibrated = _names_in(document, "asked"), _uncalibrated_in(document)
    row: Row = {}
    for category in categories:
        names = _names(category)
        row[names.scores[0]] = document["scores"][category]
        row[names.asked] = category in asked
        row[names.uncalibrated] = uncalibrated.get(category)
    return row


def _by_frames(frames: Sequence[Document], categories: Iterable[str]) -> Row:
    """Return the highest scores over several frames, and how the highest of each category came about."""
    row: Row = {}
    details = [(frame["scores"], _names_in(frame, "asked"), _uncalibrated_in(frame)) for frame in frames]
    for category in categories:
        ranked = sorted(details, key=lambda each: each[0][category], reverse=True)
        names = _names(category)
        for column, (scores, _, _) in zip(names.scores, ranked, strict=False):
            row[column] = scores[category]
        _, asked, uncalibrated = ranked[0]
        row[names.asked] = category in asked
        row[names.uncalibrated] = uncalibrated.get(category)
    return row
