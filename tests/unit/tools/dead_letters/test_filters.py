"""Which dead letters are meant."""

from datetime import UTC, datetime, timedelta

import pytest

from service.core.records import SourceRecord
from service.tools.dead_letters.dead_letter import StoredDeadLetter, read_dead_letter
from service.tools.dead_letters.filters import END, DeadLetterFilter, parse_moment, parse_offsets
from testing.dead_letters import FAILED_AT, a_dead_letter
from testing.uploads import BY_URL

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
DEAD_LETTER = read_dead_letter(a_dead_letter(17, partition=3, origin_offset=1200, value=BY_URL | {"tenant": "shop"}))


@pytest.mark.parametrize(
    "wanted",
    [
        DeadLetterFilter(),
        DeadLetterFilter(reasons=("event.*", "image.not_*")),
        DeadLetterFilter(since=FAILED_AT, until=FAILED_AT + timedelta(seconds=1)),
        DeadLetterFilter(tenants=("other", "shop")),
        DeadLetterFilter(partitions=frozenset({3}), offsets=range(17, 18)),
        DeadLetterFilter(origin_partitions=frozenset({1}), origin_offsets=range(1200, 1300)),
        DeadLetterFilter(fingerprint=DEAD_LETTER.fingerprint[:4]),
    ],
)
def test_a_letter_that_fits_is_meant(wanted: DeadLetterFilter) -> None:
    assert wanted.matches(DEAD_LETTER)


@pytest.mark.parametrize(
    "wanted",
    [
        DeadLetterFilter(reasons=("image",)),
        DeadLetterFilter(since=FAILED_AT + timedelta(milliseconds=1)),
        DeadLetterFilter(until=FAILED_AT),
        DeadLetterFilter(tenants=("sho",)),
        DeadLetterFilter(partitions=frozenset({1})),
        DeadLetterFilter(offsets=range(1200, 1201)),
        DeadLetterFilter(origin_partitions=frozenset({3})),
        DeadLetterFilter(origin_offsets=range(17, 18)),
        DeadLetterFilter(fingerprint="zz"),
        DeadLetterFilter(reasons=("image.*",), tenants=("other",)),
    ],
)
def test_a_letter_that_does_not_fit_is_not(wanted: DeadLetterFilter) -> None:
    assert not wanted.matches(DEAD_LETTER)


def test_a_letter_without_origin_or_event_is_not_found_by_them() -> None:
    foreign: StoredDeadLetter = read_dead_letter(SourceRecord("dead", 3, 17, 0, None, None, ()))
    assert DeadLetterFilter(partitions=frozenset({3})).matches(foreign)
    assert not DeadLetterFilter(origin_partitions=frozenset({0})).matches(foreign)
    assert not DeadLetterFilter(tenants=("default",)).matches(foreign)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("90s", NOW - timedelta(seconds=90)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-05-04", datetime(2026, 5, 4, tzinfo=UTC)),
        ("2026-05-04T10:00:00Z", datetime(2026, 5, 4, 10, tzinfo=UTC)),
        ("2026-05-04T10:00:00+02:00", datetime(2026, 5, 4, 8, tzinfo=UTC)),
    ],
)
def test_moments_are_read(text: str, moment: datetime) -> None:
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize(
    ("text", "offsets"),
    [("17", range(17, 18)), ("17..42", range(17, 43)), ("17..", range(17, END + 1)), ("42..17", range(42, 18))],
)
def test_offsets_are_read(text: str, offsets: range) -> None:
    assert parse_offsets(text) == offsets


@pytest.mark.parametrize("text", ["", "x", "..5", "1-2", "-1", "1..2..3"])
def test_what_is_no_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_offsets(text)


@pytest.mark.parametrize("text", ["yesterday", "2 h", "2y", ""])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_moment(text, NOW)
