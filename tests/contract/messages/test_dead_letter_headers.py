"""Dead letters have the headers that the contract documents."""

import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from schemas.headers import dead_letter_headers
from service.core.headers import (
    CAUSE_CLASS,
    LAST_OFFSET,
    RAW,
    RAW_OFFSETS,
    REDRIVEN_AT,
    REDRIVEN_FROM,
    REDRIVES,
    TRUNCATED,
)
from service.core.records import OutgoingRecord, Unreadable
from service.delivery.dead_letter import build_dead_letter, cut
from service.delivery.notices import notice
from service.delivery.origin import Origin, fresh
from service.events.codec_errors import EventEmptyError
from service.kafka.errors import RecordUnreadableError
from service.media.errors import ImageNotFoundError
from service.telemetry.names import TRACEPARENT
from testing.uploads import BY_URL, a_record

DOCUMENTED = dead_letter_headers()


MARKS = {REDRIVEN_FROM: b"dead/0/1", REDRIVEN_AT: b"2026-03-01T11:00:00Z", REDRIVES: b"1"}
UNREAD = {RAW, RAW_OFFSETS, LAST_OFFSET}


def a_dead_letter(
    *, max_bytes: int, marks: Mapping[str, bytes] = MappingProxyType({}), unreadable: Unreadable | None = None
) -> OutgoingRecord:
    """Return the dead letter of an upload with one header of its own."""
    record = a_record(BY_URL | {"caption": "x" * 5000}, {"own": b"1", **marks})._replace(unreadable=unreadable)
    failed_at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    error = EventEmptyError()
    dead_letter = build_dead_letter(
        record,
        fresh(record),
        error,
        attempt=1,
        topic="dead",
        group_id="modstream",
        failed_at=failed_at,
        trace_headers=((TRACEPARENT, b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),),
    )
    return cut(dead_letter, max_bytes=max_bytes)


def test_a_dead_letter_has_exactly_the_documented_headers_beside_the_original_ones() -> None:
    names = {name for name, _ in a_dead_letter(max_bytes=1_000_000).headers}
    assert names == set(DOCUMENTED["properties"]) - {TRUNCATED, CAUSE_CLASS, *MARKS} - UNREAD | {"own"}
    assert set(DOCUMENTED["required"]) <= names


def test_one_that_was_cut_says_so_in_a_documented_header() -> None:
    names = {name for name, _ in a_dead_letter(max_bytes=4000).headers}
    assert names == set(DOCUMENTED["properties"]) - {CAUSE_CLASS, *MARKS} - UNREAD


def test_one_that_was_sent_back_before_says_so_in_documented_headers() -> None:
    names = {name for name, _ in a_dead_letter(max_bytes=1_000_000, marks=MARKS).headers}
    assert names == set(DOCUMENTED["properties"]) - {TRUNCATED, CAUSE_CLASS} - UNREAD | {"own"}


def test_one_that_could_not_be_read_says_so_in_documented_headers() -> None:
    unreadable = Unreadable(RecordUnreadableError, "", 9000, raw="batch", raw_offsets="1200-9000")
    names = {name for name, _ in a_dead_letter(max_bytes=1_000_000, unreadable=unreadable).headers}
    assert names == set(DOCUMENTED["properties"]) - {TRUNCATED, CAUSE_CLASS, *MARKS} | {"own"}


def test_the_uploaders_command_shows_a_header_a_line() -> None:
    page = (Path(__file__).parents[3] / "docs" / "uploader.md").read_text(encoding="utf-8")
    found = re.search(r"```sh\n(kcat [^`]*notices[^`]*?)\|\n +(sed .*?)\n```\n.*?```\n(.*?)```", page, re.DOTALL)
    assert found
    kcat, sed, shown = found.groups()
    assert r"-f '%k %h\n'" in kcat
    # kcat writes headers as name=value, with commas between them.
    record = a_record(BY_URL)
    failed_at = datetime(2026, 3, 1, 12, 0, 0, 412_000, tzinfo=UTC)
    error = ImageNotFoundError(detail="404, gone")
    origin = Origin("images.uploaded", 3, 17, 1_772_366_400_000)
    dead_letter = build_dead_letter(
        record, origin, error, attempt=1, topic="dead", group_id="modstream", failed_at=failed_at
    )
    headers = ",".join(f"{name}={(value or b'').decode()}" for name, value in notice(dead_letter, "notices").headers)
    printed = subprocess.run(["sh", "-c", sed], input=f"42 {headers}\n", text=True, capture_output=True, check=True)
    assert printed.stdout == shown
