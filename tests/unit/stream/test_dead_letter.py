"""Dead letters: the original with its reasons, readable by existing tools, never too large."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from service.errors import ModstreamError, RejectedError, UnexpectedError
from service.stream.dead_letter import cut, dead_letter
from service.stream.origin import fresh
from service.stream.publishing import record_bytes
from service.stream.records import Headers, OutgoingRecord, SourceRecord

FAILED_AT = datetime(2026, 5, 4, 3, 2, 1, 987_000, tzinfo=UTC)


class NotAnImageError(RejectedError):
    reason = "image.unknown_format"
    message = "no image format: {start!r}"


def letter(
    *,
    key: bytes | None = b"42",
    value: bytes | None = b"{}",
    headers: Headers = (("traceparent", b"00-1"),),
    error: ModstreamError | None = None,
    max_bytes: int = 1_000_000,
) -> OutgoingRecord:
    record = SourceRecord("images.uploaded", 3, 77, 1_700_000_000_000, key, value, headers)
    whole = dead_letter(
        record,
        fresh(record),
        error or NotAnImageError(start=b"GIF9"),
        attempt=2,
        topic="images.uploaded.dead",
        failed_at=FAILED_AT,
    )
    return cut(whole, max_bytes=max_bytes)


def test_key_value_and_headers_stay_as_they_were() -> None:
    record = letter()
    assert (record.topic, record.key, record.value) == ("images.uploaded.dead", b"42", b"{}")
    assert record.headers[0] == ("traceparent", b"00-1")


def test_the_reason_the_attempt_and_the_origin_are_told() -> None:
    headers = dict(letter().headers)
    assert headers["modstream-reason"] == b"image.unknown_format"
    assert headers["modstream-message"] == b"no image format: b'GIF9'"
    assert headers["modstream-attempt"] == b"2"
    assert headers["modstream-failed-at"] == b"2026-05-04T03:02:01.987+00:00"
    assert headers["modstream-origin-topic"] == b"images.uploaded"
    assert headers["modstream-origin-partition"] == b"3"
    assert headers["modstream-origin-offset"] == b"77"
    assert headers["modstream-origin-timestamp"] == b"1700000000000"


def test_spring_finds_its_headers() -> None:
    headers = dict(letter().headers)
    assert headers["kafka_dlt-original-topic"] == b"images.uploaded"
    assert headers["kafka_dlt-original-partition"] == b"\0\0\0\3"
    assert headers["kafka_dlt-original-offset"] == b"\0\0\0\0\0\0\0\x4d"
    assert int.from_bytes(headers["kafka_dlt-original-timestamp"], "big") == 1_700_000_000_000
    assert headers["kafka_dlt-exception-fqcn"].endswith(b"NotAnImageError")
    assert headers["kafka_dlt-exception-message"] == b"no image format: b'GIF9'"
    assert "kafka_dlt-exception-stacktrace" in headers


def test_connect_finds_its_headers() -> None:
    headers = dict(letter().headers)
    assert headers["__connect.errors.topic"] == b"images.uploaded"
    assert headers["__connect.errors.partition"] == b"3"
    assert headers["__connect.errors.offset"] == b"77"
    assert headers["__connect.errors.exception.class.name"].endswith(b"NotAnImageError")
    assert headers["__connect.errors.exception.message"] == b"no image format: b'GIF9'"


def test_the_stack_shows_frames_but_no_messages_of_foreign_errors() -> None:
    error = UnexpectedError(kind="ValueError", detail="in fetch")
    signed_url = "?signature=1"
    try:
        int(signed_url)
    except ValueError as cause:
        error.__cause__ = cause
    headers = dict(letter(error=error).headers)
    assert headers["kafka_dlt-exception-fqcn"] == b"builtins.ValueError"
    assert b"test_dead_letter.py" in headers["kafka_dlt-exception-stacktrace"]
    assert b"invalid literal" not in b"".join(headers.values())


def test_what_an_earlier_failure_added_is_not_told_twice() -> None:
    record = letter(headers=(*letter().headers, ("ce_id", b"1")))
    names = [name for name, _ in record.headers]
    assert len(names) == len(set(names))
    assert "ce_id" in names


headers_st = st.lists(st.tuples(st.text(max_size=30), st.binary(max_size=3000)), max_size=4).map(tuple)


@given(
    key=st.none() | st.binary(max_size=5000),
    value=st.none() | st.binary(max_size=20_000),
    headers=headers_st,
    message=st.text(max_size=2000),
)
def test_a_dead_letter_is_never_too_large(
    key: bytes | None, value: bytes | None, headers: Headers, message: str
) -> None:
    limit_bytes = 16_384
    record = letter(key=key, value=value, headers=headers, error=NotAnImageError(start=message), max_bytes=limit_bytes)
    assert record_bytes(record) <= limit_bytes
    found = dict(record.headers)
    assert found["modstream-origin-offset"] == b"77"
    assert found["modstream-reason"] == b"image.unknown_format"
    if "modstream-truncated" not in found:
        assert (record.key, record.value) == (key, value)


def test_a_value_that_does_not_fit_is_cut_and_the_letter_says_so() -> None:
    record = letter(value=b"x" * 50_000, max_bytes=16_384)
    assert record.value is not None
    assert 8_000 < len(record.value) < 16_384
    assert record.key == b"42"
    assert dict(record.headers)["modstream-truncated"] == b"headers,value,key"
