"""Which letters are meant."""

from datetime import UTC, datetime, timedelta

import pytest

from service.core.records import SourceRecord
from service.tools.dead_letters.filters import END, LetterFilter, parse_moment, parse_offsets
from service.tools.dead_letters.letter import StoredDeadLetter, read_letter
from testing.dead_letters import FAILED_AT, a_letter
from testing.uploads import BY_URL

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
LETTER = read_letter(a_letter(17, partition=3, origin_offset=1200, value=BY_URL | {"tenant": "shop"}))


@pytest.mark.parametrize(
    "wanted",
    [
        LetterFilter(),
        LetterFilter(reasons=("event.*", "image.not_*")),
        LetterFilter(since=FAILED_AT, until=FAILED_AT + timedelta(seconds=1)),
        LetterFilter(tenants=("other", "shop")),
        LetterFilter(partitions=frozenset({3}), offsets=range(17, 18)),
        LetterFilter(origin_partitions=frozenset({1}), origin_offsets=range(1200, 1300)),
        LetterFilter(fingerprint=LETTER.fingerprint[:4]),
    ],
)
def test_a_letter_that_fits_is_meant(wanted: LetterFilter) -> None:
    assert wanted.matches(LETTER)


@pytest.mark.parametrize(
    "wanted",
    [
        LetterFilter(reasons=("image",)),
        LetterFilter(since=FAILED_AT + timedelta(milliseconds=1)),
        LetterFilter(until=FAILED_AT),
        LetterFilter(tenants=("sho",)),
        LetterFilter(partitions=frozenset({1})),
        LetterFilter(offsets=range(1200, 1201)),
        LetterFilter(origin_partitions=frozenset({3})),
        LetterFilter(origin_offsets=range(17, 18)),
        LetterFilter(fingerprint="zz"),
        LetterFilter(reasons=("image.*",), tenants=("other",)),
    ],
)
def test_a_letter_that_does_not_fit_is_not(wanted: LetterFilter) -> None:
    assert not wanted.matches(LETTER)


def test_a_letter_without_origin_or_event_is_not_found_by_them() -> None:
    foreign: StoredDeadLetter = read_letter(SourceRecord("dead", 3, 17, 0, None, None, ()))
    assert LetterFilter(partitions=frozenset({3})).matches(foreign)
    assert not LetterFilter(origin_partitions=frozenset({0})).matches(foreign)
    assert not LetterFilter(tenants=("default",)).matches(foreign)


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
