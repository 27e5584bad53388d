"""Where a record came from, from headers that any producer may have written."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.headers import ATTEMPT, NOT_BEFORE, OFFSET, PARTITION, TIMESTAMP, TOPIC
from service.core.records import SourceRecord
from service.delivery.dead_letter import build_dead_letter
from service.delivery.origin import Origin, fresh, origin_of, parsed_origin
from service.delivery.retry import RetryTier, deferred_record, due_s
from testing.handlers import BusyError
from tests.unit.delivery.test_dead_letter import FAILED_AT

ORIGIN = Origin("images.uploaded", 3, 77, 1_700_000_000_000, attempts=2)
REPORTED: dict[str, bytes] = {**dict(ORIGIN.headers()), ATTEMPT: b"2"}
TIER = RetryTier(30, "images.uploaded.retry.30s")

numbers = st.integers(-(2**70), 2**70).map(lambda number: b"%d" % number)
values = st.none() | st.binary(max_size=20) | numbers | st.sampled_from([b"9" * 400, b"9" * 5000, b"images.uploaded"])
names = st.sampled_from([TOPIC, PARTITION, OFFSET, TIMESTAMP, ATTEMPT, NOT_BEFORE]) | st.text(max_size=5)
headers = st.lists(st.tuples(names, values), max_size=12).map(lambda found: (*REPORTED.items(), *found))


def waiting(reported: Any) -> SourceRecord:
    """Return a record of a retry topic with those headers."""
    return SourceRecord(TIER.topic, 1, 5, 1_700_000_030_000, b"42", b"{}", tuple(reported))


def test_an_origin_is_read_as_it_was_written() -> None:
    assert parsed_origin(tuple(REPORTED.items())) == ORIGIN


@pytest.mark.parametrize("timestamp_ms", [-1, -5, -(2**63), 2**63 - 1])
def test_an_origin_is_read_with_every_timestamp_that_brokers_accept(timestamp_ms: int) -> None:
    origin = Origin("images.uploaded", 0, 0, timestamp_ms)
    assert parsed_origin((*origin.headers(), (ATTEMPT, b"0"))) == origin


@pytest.mark.parametrize("name", [PARTITION, OFFSET, TIMESTAMP, ATTEMPT])
@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"9" * 400,
        b"9" * 5000,
        b"-9223372036854775809",
        b"--1",
        b"-",
        b"+1",
        b"1_0",
        b" 1",
        b"\xff",
        "٣".encode(),
    ],
)
def test_a_header_out_of_its_range_reports_no_origin(name: str, value: Any) -> None:
    record = waiting((REPORTED | {name: value}).items())
    assert parsed_origin(record.headers) is None
    assert origin_of(record, uploads=ORIGIN.topic) == fresh(record)


@pytest.mark.parametrize("name", [PARTITION, OFFSET, ATTEMPT])
def test_a_number_below_zero_reports_no_origin(name: str) -> None:
    assert parsed_origin(tuple((REPORTED | {name: b"-7"}).items())) is None


@pytest.mark.parametrize("topic", [b"a" * 250, b"images\nuploaded", b"\x1b[31m", "\u202e".encode()])
def test_a_name_that_no_topic_has_reports_no_origin(topic: bytes) -> None:
    assert parsed_origin(tuple((REPORTED | {TOPIC: topic}).items())) is None


def test_a_record_that_names_another_topic_is_its_own_origin() -> None:
    record = waiting((REPORTED | {TOPIC: b"images.verdicts"}).items())
    assert origin_of(record, uploads=ORIGIN.topic) == fresh(record)
    assert origin_of(waiting(REPORTED.items()), uploads=ORIGIN.topic) == ORIGIN


@given(headers)
def test_whatever_the_headers_say_the_record_can_be_put_off_again_and_given_up(reported: Any) -> None:
    record = waiting(reported)
    origin = origin_of(record, uploads=ORIGIN.topic)
    again = deferred_record(record, origin, TIER, BusyError(), attempt=origin.attempts + 1, now_s=1.0)
    assert parsed_origin(again.headers) == replace(origin, attempts=origin.attempts + 1)
    dead_letter = build_dead_letter(
        record,
        origin,
        BusyError(),
        attempt=1,
        topic="dead",
        group_id="modstream",
        failed_at=FAILED_AT,
    )
    assert parsed_origin(dead_letter.headers) == replace(origin, attempts=1)


@given(headers, st.integers(-(2**63), 2**63 - 1), st.floats(0, 4e9))
def test_no_record_waits_longer_than_its_tier(reported: Any, timestamp_ms: int, now_s: float) -> None:
    assert due_s(tuple(reported), timestamp_ms=timestamp_ms, delay_s=30, now_s=now_s) <= now_s + 30


def test_a_record_waits_until_its_not_before() -> None:
    later = deferred_record(waiting(()), ORIGIN, TIER, BusyError(), attempt=1, now_s=1_000.0)
    assert due_s(later.headers, timestamp_ms=1_000_500, delay_s=30, now_s=1_001.0) == 1_030.0


def test_a_clock_that_is_behind_the_writers_waits_all_the_same() -> None:
    later = deferred_record(waiting(()), ORIGIN, TIER, BusyError(), attempt=1, now_s=1_000.0)
    assert due_s(later.headers, timestamp_ms=1_000_000, delay_s=30, now_s=995.0) == 1_025.0


def test_a_not_before_beyond_the_records_own_delay_is_cut() -> None:
    assert due_s(((NOT_BEFORE, b"9000000"),), timestamp_ms=1_000_000, delay_s=30, now_s=1_001.0) == 1_030.0


def test_a_record_from_the_future_is_judged_at_once() -> None:
    assert due_s(((NOT_BEFORE, b"9000000"),), timestamp_ms=9_000_000, delay_s=30, now_s=1_000.0) == 0.0
