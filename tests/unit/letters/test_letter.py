"""What a dead letter says."""

from datetime import UTC, datetime

from service.letters.letter import read_letter
from service.stream.origin import Origin
from service.stream.records import SourceRecord
from tests.support.letters import FAILED_AT, UPLOADS, a_letter

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_the_headers_are_read() -> None:
    letter = read_letter(a_letter(17, partition=3, headers=(("traceparent", b"00-1"),)))
    assert (letter.place, letter.key, letter.tenant) == ("3:17", "42", "default")
    assert (letter.reason, letter.attempts, letter.failed_at) == ("image.not_found", 1, FAILED_AT)
    assert letter.error_class == "service.media.errors.ImageNotFoundError"
    assert letter.origin == Origin(UPLOADS, 1, 1200, 1_700_000_000_000, attempts=1)
    assert (letter.truncated, letter.redrives, letter.trace_id) == ("", 0, "")


def test_a_record_of_somebody_else_says_little() -> None:
    letter = read_letter(SourceRecord("dead", 0, 1, 1_777_000_000_000, None, None, (("modstream-attempt", b"9" * 50),)))
    assert (letter.reason, letter.message, letter.attempts, letter.origin) == ("unknown", "", 0, None)
    assert letter.failed_at == datetime.fromtimestamp(1_777_000_000, UTC)
    assert letter.tenant is None


def test_the_failed_attempts_trace_comes_before_the_uploaders() -> None:
    uploaders = (("traceparent", b"00-00000000000000000000000000000001-00f067aa0ba902b7-01"),)
    record = a_letter(headers=uploaders)
    assert read_letter(record).trace_id == "00000000000000000000000000000001"
    failed = ("modstream-traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode())
    traced = SourceRecord("dead", 0, 1, 0, None, b"", (*record.headers, failed))
    assert read_letter(traced).trace_id == TRACE


def test_a_forged_header_of_the_uploader_does_not_count() -> None:
    letter = read_letter(a_letter(headers=(("modstream-reason", b"forged"), ("modstream-truncated", b"value"))))
    assert (letter.reason, letter.truncated) == ("image.not_found", "")
