"""The pages for uploaders and consumers say what the contract says, and their commands hold valid events."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from schemas.headers import cloudevents_headers, dead_letter_headers
from schemas.json_schemas import json_schema
from schemas.registry import IMAGE_UPLOADED_V1, TAGS_V1, VERDICT_V1, MessageVersion
from schemas.verdict import REASON_CODES
from service.core.errors import ModstreamError
from service.core.records import MAX_HEADERS, SourceRecord
from service.events import codec_errors
from service.events.attributes import MAX_ATTRIBUTE_CHARACTERS, MAX_ATTRIBUTES
from service.events.codec import decode_upload
from service.events.structure import MAX_STRUCTURE
from service.kafka.errors import BatchTooLargeError, RecordUnreadableError
from service.media import errors as media_errors
from service.settings.kafka import DEFAULT_MAX_EVENT_BYTES

DOCS = Path(__file__).parents[3] / "docs"
UPLOADER = (DOCS / "uploader.md").read_text(encoding="utf-8")
CONSUMER = (DOCS / "consumer.md").read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def rows(text: str) -> Iterator[str]:
    """Yield the rows of tables, less their heads."""
    yield from re.findall(
        r"^\| (?!-|Field |Header |Reason |`code` )(.*) \|$", text.replace("|---", "| -"), re.MULTILINE
    )


def first_cells(text: str) -> set[str]:
    """Return what is written as code in the first cell of each row."""
    return {word for row in rows(text) for word in re.findall(r"`([^`]+)`", row.split(" | ")[0])}


def words(text: str) -> set[str]:
    """Return what is written as code in tables."""
    return {word for row in rows(text) for word in re.findall(r"`([^`]+)`", row)}


def field_names(message: MessageVersion) -> set[str]:
    """Return the names of all fields at any depth."""
    schema = json_schema(message)
    return {name for part in (schema, *schema["$defs"].values()) for name in part["properties"]}


def reasons_of(module: ModuleType) -> set[str]:
    """Return the reason codes of the errors that a module defines."""
    kinds = (kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, ModstreamError))
    return {kind.reason for kind in kinds if kind.__module__ == module.__name__}


def test_every_field_of_an_upload_has_a_row() -> None:
    assert first_cells(section(UPLOADER, "What an event may hold")) == field_names(IMAGE_UPLOADED_V1)


@pytest.mark.parametrize(
    ("message", "heading"),
    [(VERDICT_V1, "The verdict, field by field"), (TAGS_V1, "Tags, field by field")],
    ids=["verdict", "tags"],
)
def test_every_field_of_an_outcome_is_explained(message: MessageVersion, heading: str) -> None:
    text = section(CONSUMER, heading)
    assert field_names(message) <= words(text)
    assert first_cells(text) <= field_names(message)


def test_every_reason_code_of_a_verdict_is_explained() -> None:
    assert first_cells(section(CONSUMER, "Reason codes")) == set(REASON_CODES)


def test_uploaders_can_look_up_what_was_wrong_with_event_or_image() -> None:
    reported = {cell for cell in first_cells(section(UPLOADER, "When an event fails")) if "." in cell}
    theirs = reasons_of(codec_errors) | reasons_of(media_errors)
    assert {reason for reason in theirs if not reason.startswith("decode.")} <= reported
    assert reported <= theirs | {"policy.unknown", RecordUnreadableError.reason, BatchTooLargeError.reason}


def test_the_uploaders_page_has_the_bounds_of_an_event() -> None:
    assert f"more than {DEFAULT_MAX_EVENT_BYTES // 1024**2} MiB" in UPLOADER
    assert f"more than {MAX_STRUCTURE:,} commas and opening brackets" in UPLOADER
    assert f"more than {MAX_HEADERS:,} headers" in UPLOADER
    assert f"{MAX_ATTRIBUTES} attributes with {MAX_ATTRIBUTE_CHARACTERS:,} characters" in UPLOADER


def test_headers_are_explained() -> None:
    dead_letter = first_cells(section(UPLOADER, "When an event fails"))
    ours = {name for name in dead_letter_headers()["properties"] if name.startswith("modstream-")}
    assert {cell for cell in dead_letter if cell.startswith("modstream-")} == ours
    outcome = first_cells(section(CONSUMER, "Spot repeats by `ce_id`"))
    assert outcome == set(cloudevents_headers(VERDICT_V1)["properties"])


def test_events_in_commands_are_valid() -> None:
    commands = re.findall(r"echo '(.*?)' \|(.*?)```", UPLOADER, re.DOTALL)
    assert len(commands) == 2
    for value, rest in commands:
        headers = tuple((name, text.encode()) for name, text in re.findall(r"-H (\S+?)=(\S+)", rest))
        record = SourceRecord("t", 0, 0, 0, None, value.replace("\n", "").encode(), headers)
        assert decode_upload(record).event.image_id == json.loads(value).get("data", json.loads(value))["image_id"]
