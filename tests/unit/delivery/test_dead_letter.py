"""Dead letters: the original with its reasons, readable by existing tools, never too large."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import ModstreamError, RejectedError, UnexpectedError
from service.core.records import MAX_HEADERS, Headers, OutgoingRecord, SourceRecord
from service.delivery.dead_letter import build_dead_letter, cut
from service.delivery.origin import fresh, origin_of
from service.delivery.retry import RetryTier, deferred_record
from service.events.codec import decode_upload
from service.events.codec_errors import EventNotJsonError
from service.kafka.publisher import record_bytes
from service.policy.errors import UnknownPolicyError
from service.policy.loader import load_policies
from service.settings.settings import PolicySettings
from testing.handlers import BusyError
from testing.uploads import a_record

FAILED_AT = datetime(2026, 5, 4, 3, 2, 1, 987_000, tzinfo=UTC)


class NotAnImageError(RejectedError):
    reason = "image.unknown_format"
    message = "no image format: {start!r}"


def dead_letter(
    *,
    key: bytes | None = b"42",
    value: bytes | None = b"{}",
    headers: Headers = (("traceparent", b"00-1"),),
    error: ModstreamError | None = None,
    max_bytes: int = 1_000_000,
) -> OutgoingRecord:
    record = SourceRecord("images.uploaded", 3, 77, 1_700_000_000_000, key, value, headers)
    whole = build_dead_letter(
        record,
        fresh(record),
        error or NotAnImageError(start=b"GIF9"),
        attempt=2,
        topic="images.uploaded.dead",
        group_id="modstream",
        failed_at=FAILED_AT,
    )
    return cut(whole, max_bytes=max_bytes)


def test_key_value_and_headers_stay_as_they_were() -> None:
    record = dead_letter()
    assert (record.topic, record.key, record.value) == ("images.uploaded.dead", b"42", b"{}")
    assert record.headers[0] == ("traceparent", b"00-1")


def test_the_reason_the_attempt_and_the_origin_are_reported() -> None:
    headers = dict(dead_letter().headers)
    assert headers["modstream-reason"] == b"image.unknown_format"
    assert headers["modstream-message"] == b"no image format: b'GIF9'"
    assert headers["modstream-attempt"] == b"2"
    assert headers["modstream-failed-at"] == b"2026-05-04T03:02:01.987+00:00"
    assert headers["modstream-origin-topic"] == b"images.uploaded"
    assert headers["modstream-origin-partition"] == b"3"
    assert headers["modstream-origin-offset"] == b"77"
    assert headers["modstream-origin-timestamp"] == b"1700000000000"


def test_spring_finds_its_headers() -> None:
    headers = dict(dead_letter().headers)
    assert headers["kafka_dlt-original-topic"] == b"images.uploaded"
    assert headers["kafka_dlt-original-partition"] == b"\0\0\0\3"
    assert headers["kafka_dlt-original-offset"] == b"\0\0\0\0\0\0\0\x4d"
    assert int.from_bytes(headers["kafka_dlt-original-timestamp"], "big") == 1_700_000_000_000
    assert headers["kafka_dlt-original-timestamp-type"] == b"CreateTime"
    assert headers["kafka_dlt-original-consumer-group"] == b"modstream"
    assert headers["kafka_dlt-exception-fqcn"].endswith(b"NotAnImageError")
    assert "kafka_dlt-exception-cause-fqcn" not in headers
    assert headers["kafka_dlt-exception-message"] == b"no image format: b'GIF9'"
    assert "kafka_dlt-exception-stacktrace" in headers


def test_connect_finds_its_headers() -> None:
    headers = dict(dead_letter().headers)
    assert headers["__connect.errors.topic"] == b"images.uploaded"
    assert headers["__connect.errors.partition"] == b"3"
    assert headers["__connect.errors.offset"] == b"77"
    assert headers["__connect.errors.stage"] == b"TASK_PUT"
    assert headers["__connect.errors.class.name"] == b"tests.unit.delivery.test_dead_letter"
    assert headers["__connect.errors.exception.class.name"].endswith(b"NotAnImageError")
    assert headers["__connect.errors.exception.message"] == b"no image format: b'GIF9'"


def test_connect_finds_the_stage_and_the_class_that_failed() -> None:
    with pytest.raises(EventNotJsonError) as caught:
        decode_upload(a_record(b"no event"))
    headers = dict(dead_letter(error=caught.value).headers)
    assert headers["__connect.errors.stage"] == b"VALUE_CONVERTER"
    assert headers["__connect.errors.class.name"] == b"service.events.codec"

    with pytest.raises(UnknownPolicyError) as refused:
        load_policies(PolicySettings()).select("none", tenant="shop")
    headers = dict(dead_letter(error=refused.value).headers)
    assert headers["__connect.errors.stage"] == b"TASK_PUT"
    assert headers["__connect.errors.class.name"] == b"service.policy.loader.Policies"


@pytest.mark.parametrize(
    ("timestamp_ms", "number", "written"),
    [(1, 0, b"CreateTime"), (1, 1, b"LogAppendTime"), (-1, 0, b"NoTimestampType"), (1, 7, b"CreateTime")],
)
def test_who_set_the_timestamp_is_reported_after_retries_too(timestamp_ms: int, number: int, written: bytes) -> None:
    record = SourceRecord("images.uploaded", 3, 77, timestamp_ms, None, b"{}", (), timestamp_type=number)
    tier = RetryTier(30, "images.uploaded.retry.30s")
    later = deferred_record(record, fresh(record), tier, BusyError(), attempt=1, now_s=0.0)
    waited = SourceRecord(tier.topic, 0, 0, 5, None, b"{}", later.headers)
    origin = origin_of(waited, uploads="images.uploaded")
    dead = build_dead_letter(waited, origin, BusyError(), attempt=2, topic="d", group_id="g", failed_at=FAILED_AT)
    assert dict(dead.headers)["kafka_dlt-original-timestamp-type"] == written
    assert dict(dead.headers)["modstream-origin-timestamp-type"] == written


def test_headers_that_were_not_all_kept_are_left_out_and_that_is_reported() -> None:
    few = tuple((f"x-{number}", b"") for number in range(MAX_HEADERS))
    assert dead_letter(headers=few).headers[:MAX_HEADERS] == few
    names = {name for name, _ in dead_letter(headers=(*few, ("one-more", b""))).headers}
    assert names.isdisjoint({"x-0", "one-more"})
    assert dict(dead_letter(headers=(*few, ("one-more", b""))).headers)["modstream-truncated"] == b"headers"


def test_a_name_in_the_message_steers_nothing_and_has_an_end() -> None:
    headers = dict(dead_letter(error=NotAnImageError(start="\x1b[2J\u202e\n" + "a" * 5000)).headers)
    for name in ("modstream-message", "kafka_dlt-exception-message", "__connect.errors.exception.message"):
        message = headers[name].decode()
        assert message.isprintable()
        assert len(message) == 1001


def test_the_stack_shows_frames_but_no_messages_of_foreign_errors() -> None:
    error = UnexpectedError(kind="ValueError", detail="in fetch")
    signed_url = "?signature=1"
    try:
        int(signed_url)
    except ValueError as cause:
        error.__cause__ = cause
    headers = dict(dead_letter(error=error).headers)
    assert headers["kafka_dlt-exception-fqcn"] == b"builtins.ValueError"
    assert headers["kafka_dlt-exception-cause-fqcn"] == b"builtins.ValueError"
    assert b"test_dead_letter.py" in headers["kafka_dlt-exception-stacktrace"]
    assert b"invalid literal" not in b"".join(headers.values())


def test_what_an_earlier_failure_added_is_not_reported_twice() -> None:
    record = dead_letter(headers=(*dead_letter().headers, ("ce_id", b"1")))
    names = [name for name, _ in record.headers]
    assert len(names) == len(set(names))
    assert "ce_id" in names


headers_st = st.lists(st.tuples(st.text(max_size=30), st.binary(max_size=3000)), max_size=4).map(tuple)


@pytest.mark.parametrize("key_bytes", [0, 63, 64, 8191, 8192, 900_000])
def test_a_long_value_is_cut_to_the_byte(key_bytes: int) -> None:
    cut_letter = dead_letter(key=b"k" * key_bytes, value=b"v" * 2_000_000, max_bytes=1_000_000)
    assert 1_000_000 - 16 <= record_bytes(cut_letter) <= 1_000_000


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
    record = dead_letter(
        key=key, value=value, headers=headers, error=NotAnImageError(start=message), max_bytes=limit_bytes
    )
    assert record_bytes(record) <= limit_bytes
    found = dict(record.headers)
    assert found["modstream-origin-offset"] == b"77"
    assert found["modstream-reason"] == b"image.unknown_format"
    if "modstream-truncated" not in found:
        assert (record.key, record.value) == (key, value)


def test_a_value_that_does_not_fit_is_cut_and_the_letter_says_so() -> None:
    record = dead_letter(value=b"x" * 50_000, max_bytes=16_384)
    assert record.value is not None
    assert 8_000 < len(record.value) < 16_384
    assert record.key == b"42"
    assert dict(record.headers)["modstream-truncated"] == b"headers,value,key"
