"""What is published when a dead letter is sent back or discarded."""

from datetime import UTC, datetime

import orjson
import pytest

from service.core.records import SourceRecord
from service.delivery.dead_letter import build_dead_letter
from service.delivery.origin import fresh
from service.kafka.errors import PublishError
from service.tools.dead_letters.actions import Discard, Redrive
from service.tools.dead_letters.dead_letter import read_dead_letter
from service.tools.dead_letters.journal import JournalUnreadableError, Marks, State, state_of
from testing.dead_letters import DEAD, FAILED_AT, JOURNAL, UPLOADS, a_dead_letter, as_read

NOW = datetime(2026, 5, 5, 6, 7, 8, tzinfo=UTC)
REDRIVE = Redrive(UPLOADS, JOURNAL, lambda: NOW, by="kim@host")


def test_what_could_not_be_read_is_not_sent_back() -> None:
    dead_letter = a_dead_letter()
    raw = dead_letter._replace(headers=(*dead_letter.headers, ("modstream-raw", b"batch")))

    assert REDRIVE.refusal(read_dead_letter(dead_letter)) == ""
    assert "a batch in Kafka's format" in REDRIVE.refusal(read_dead_letter(raw))


def test_key_value_and_the_uploaders_headers_come_back_and_ours_are_gone() -> None:
    dead_letter = read_dead_letter(a_dead_letter(17, partition=3, headers=(("ce_id", b"7"), ("traceparent", b"00-1"))))
    sent, _ = REDRIVE.records(dead_letter)
    assert (sent.topic, sent.key, sent.value) == (UPLOADS, b"42", dead_letter.record.value)
    assert sent.headers == (
        ("ce_id", b"7"),
        ("traceparent", b"00-1"),
        ("modstream-redriven-from", b"images.uploaded.dead/3/17"),
        ("modstream-redriven-at", b"2026-05-05T06:07:08.000+00:00"),
        ("modstream-redrives", b"1"),
    )


def test_the_trace_of_the_failed_attempt_goes_along() -> None:
    record = a_dead_letter(headers=(("traceparent", b"00-1"),))
    traced = SourceRecord(*astuple_of(record), (*record.headers, ("modstream-traceparent", b"00-2")))
    sent, _ = REDRIVE.records(read_dead_letter(traced))
    assert dict(sent.headers)["modstream-traceparent"] == b"00-2"


def astuple_of(record: SourceRecord) -> tuple[str, int, int, int, bytes | None, bytes | None]:
    return record.topic, record.partition, record.offset, record.timestamp_ms, record.key, record.value


def test_a_letter_that_failed_again_reports_how_often_it_was_sent_back() -> None:
    sent, _ = REDRIVE.records(read_dead_letter(a_dead_letter(17)))
    again = as_read(sent, 1, 2000)
    error = PublishError(topic="x", detail="y")
    second = build_dead_letter(
        again,
        fresh(again),
        error,
        attempt=4,
        topic=DEAD,
        group_id="modstream",
        failed_at=FAILED_AT,
    )
    dead_letter = read_dead_letter(as_read(second, 3, 99))
    assert (dead_letter.redrives, dead_letter.redriven_from) == (1, "images.uploaded.dead/3/17")
    twice, _ = REDRIVE.records(dead_letter)
    names = [name for name, _ in twice.headers]
    assert len(names) == len(set(names))
    assert dict(twice.headers)["modstream-redrives"] == b"2"


def test_a_mark_is_one_record_for_each_letter_and_is_read_back() -> None:
    dead_letter = read_dead_letter(a_dead_letter(17, partition=3))
    _, mark = REDRIVE.records(dead_letter)
    (discarded,) = Discard("images are gone", JOURNAL, lambda: NOW, by="kim@host").records(dead_letter)
    assert (mark.topic, mark.key) == (discarded.topic, discarded.key) == (JOURNAL, b"3:17")
    assert state_of(Marks([as_read(mark, 0, 0)]).of(dead_letter)) is State.REDRIVEN
    found = Marks([as_read(discarded, 0, 0)]).of(dead_letter)
    assert found is not None
    assert (found.state, found.at, found.by, found.why) == (State.DISCARDED, NOW, "kim@host", "images are gone")
    assert state_of(Marks().of(dead_letter)) is State.OPEN


def test_another_record_at_the_same_place_is_not_marked() -> None:
    dead_letter = read_dead_letter(a_dead_letter(17))
    (mark,) = Discard("", JOURNAL, lambda: NOW).records(dead_letter)
    later = SourceRecord(*astuple_of(dead_letter.record)[:3], 1_999_000_000_000, b"42", b"", dead_letter.record.headers)
    assert Marks([as_read(mark, 0, 0)]).of(read_dead_letter(later)) is None


def test_marks_whose_letters_are_gone_are_taken_out() -> None:
    discard = Discard("", JOURNAL, lambda: NOW)
    records = [
        as_read(mark, 0, number)
        for number, offset in enumerate((5, 17))
        for mark in discard.records(read_dead_letter(a_dead_letter(offset)))
    ]
    (tombstone,) = Marks(records).outlived(JOURNAL, {3: 17})
    assert (tombstone.key, tombstone.value) == (b"3:5", None)
    assert len(Marks([*records, as_read(tombstone, 0, 2)])) == 1
    assert Marks(records).outlived(JOURNAL, {}) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [(b"x", b"{}"), (b"3:17", b"no json"), (b"3:17", b"{}"), (b"3:17", orjson.dumps({"state": "lost"})), (None, None)],
)
def test_a_journal_of_another_program_is_refused(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(JournalUnreadableError, match=rf"0:7 of {JOURNAL}"):
        Marks([SourceRecord(JOURNAL, 0, 7, 0, key, value, ())])


def test_what_was_cut_is_refused() -> None:
    dead_letter = read_dead_letter(a_dead_letter(value=b"x" * 50_000, max_bytes=16_384))
    assert "only the uploader has the whole event" in REDRIVE.refusal(dead_letter)


def test_nothing_is_sent_to_a_topic_that_only_a_header_names() -> None:
    dead_letter = read_dead_letter(a_dead_letter())
    elsewhere = Redrive("images.other", JOURNAL, lambda: NOW)
    assert elsewhere.refusal(dead_letter) == "came from images.uploaded, and topics.uploads is images.other"
    assert "no header names its origin" in REDRIVE.refusal(
        read_dead_letter(SourceRecord(DEAD, 0, 1, 0, None, b"{}", ()))
    )
    assert REDRIVE.refusal(dead_letter) == ""
