"""What a dead letter says."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.headers import FAILED_AT as FAILED_AT_HEADER
from service.core.records import SourceRecord
from service.delivery.origin import Origin
from service.tools.dead_letters.dead_letter import read_dead_letter
from testing.dead_letters import FAILED_AT, UPLOADS, a_dead_letter

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_the_headers_are_read() -> None:
    dead_letter = read_dead_letter(a_dead_letter(17, partition=3, headers=(("traceparent", b"00-1"),)))
    assert (dead_letter.place, dead_letter.key, dead_letter.tenant) == ("3:17", "42", "default")
    assert (dead_letter.reason, dead_letter.attempts, dead_letter.failed_at) == ("image.not_found", 1, FAILED_AT)
    assert dead_letter.error_class == "service.media.errors.ImageNotFoundError"
    assert dead_letter.origin == Origin(UPLOADS, 1, 1200, 1_700_000_000_000, attempts=1)
    assert (dead_letter.truncated, dead_letter.redrives, dead_letter.trace_id) == ("", 0, "")


def test_a_record_of_another_program_says_little() -> None:
    dead_letter = read_dead_letter(
        SourceRecord("dead", 0, 1, 1_777_000_000_000, None, None, (("modstream-attempt", b"9" * 50),))
    )
    assert (dead_letter.reason, dead_letter.message, dead_letter.attempts, dead_letter.origin) == (
        "unknown",
        "",
        0,
        None,
    )
    assert dead_letter.failed_at == datetime.fromtimestamp(1_777_000_000, UTC)
    assert dead_letter.tenant is None


def test_the_failed_attempts_trace_comes_before_the_uploaders() -> None:
    uploaders = (("traceparent", b"00-00000000000000000000000000000001-00f067aa0ba902b7-01"),)
    record = a_dead_letter(headers=uploaders)
    assert read_dead_letter(record).trace_id == "00000000000000000000000000000001"
    failed = ("modstream-traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode())
    traced = SourceRecord("dead", 0, 1, 0, None, b"", (*record.headers, failed))
    assert read_dead_letter(traced).trace_id == TRACE


def test_a_forged_header_of_the_uploader_does_not_count() -> None:
    dead_letter = read_dead_letter(
        a_dead_letter(headers=(("modstream-reason", b"forged"), ("modstream-truncated", b"value")))
    )
    assert (dead_letter.reason, dead_letter.truncated) == ("image.not_found", "")


@pytest.mark.parametrize("timestamp_ms", [-1, 0, 2**63 - 1])
@pytest.mark.parametrize(
    "failed_at",
    [None, b"", b"\xff", b"0001-01-01T00:00:00+05:00", b"9999-12-31T23:59:59-05:00", b"2026-05-04T03:02:01"],
)
def test_a_moment_that_does_not_exist_counts_as_not_reported(failed_at: Any, timestamp_ms: int) -> None:
    dead_letter = read_dead_letter(
        SourceRecord("dead", 0, 1, timestamp_ms, None, None, ((FAILED_AT_HEADER, failed_at),))
    )
    assert dead_letter.failed_at.tzinfo is UTC


@given(
    st.lists(
        st.tuples(st.sampled_from([name for name, _ in a_dead_letter().headers]) | st.text(), st.none() | st.binary())
    ),
    st.integers(-(2**63), 2**63 - 1),
)
def test_whatever_the_headers_hold_a_letter_is_read(headers: Any, timestamp_ms: int) -> None:
    dead_letter = read_dead_letter(SourceRecord("dead", 0, 1, timestamp_ms, None, None, tuple(headers)))
    assert len(dead_letter.fingerprint) == 10
