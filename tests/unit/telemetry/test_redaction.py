"""No image, no signed URL and no terminal control leaves by a log."""

from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from service.telemetry.redaction import MAX_TEXT_CHARACTERS, clean, clean_block, clean_text, redact


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("https://cdn.example.com/a/42.jpg?X-Amz-Signature=secret", "https://cdn.example.com/…"),
        ("GET HTTPS://CDN.example.com:8443?secret failed", "GET HTTPS://CDN.example.com:8443/… failed"),
        ("https://user:secret@cdn.example.com/", "https://cdn.example.com/…"),
        ("url='https://cdn.example.com/secret', try 2", "url='https://cdn.example.com/…', try 2"),
        ("http://[::1]:9000/secret", "http://[::1]:9000/…"),
        ("s3://uploads/secret.jpg", "s3://uploads/…"),
        ("file:///srv/secret.jpg", "file:///…"),
        ("http://collector:4318", "http://collector:4318"),
        ("image data:image/png;base64,c2VjcmV0 refused", "image data:… refused"),
        (r"got b'\x89PNG\' secret' from the wire", "got <bytes> from the wire"),
        ("\x1b[2J\x07gone\r", r"\x1b[2J\x07gone\r"),
        ("half a pair: \ud800", r"half a pair: \ud800"),
        ("two\nlines\tand more", r"two\nlines\tand more"),
    ],
)
def test_text_keeps_what_helps_and_loses_what_harms(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


def test_bytes_of_every_kind_are_counted_instead_of_shown() -> None:
    assert clean(b"secret") == "<6 bytes>"
    assert clean(bytearray(7)) == "<7 bytes>"
    assert clean(np.zeros((2, 2, 3), np.uint8)) == "<12 bytes>"


def test_nested_values_are_cleaned_too() -> None:
    assert clean({"image": {"url": "https://h/secret", "raw": [b"secret"]}, "size": (640, 480)}) == {
        "image": {"url": "https://h/…", "raw": ["<6 bytes>"]},
        "size": [640, 480],
    }


def test_plain_values_stay_and_unknown_objects_give_their_type() -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    assert clean([None, True, 1, 0.5, Path("a/b"), moment]) == [None, True, 1, 0.5, "a/b", "2026-01-02 00:00:00+00:00"]
    assert clean(SecretStr("secret")) == "**********"
    assert clean(object()) == "<object>"


def test_long_text_is_cut() -> None:
    assert len(clean_text("x" * 100_000)) == MAX_TEXT_CHARACTERS + 1


@given(path=st.text(st.characters(exclude_characters="\"'<>", exclude_categories=("Z", "C")), max_size=80))
def test_nothing_of_a_path_or_query_is_left(path: str) -> None:
    assert clean_text(f"https://cdn.example.com/{path}") == "https://cdn.example.com/…"


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "a" * 1_000_000 + "://",
        "://" + "a" * 1_000_000,
        "a://" * 250_000,
        "://" + "a@" * 500_000,
        "data:" * 200_000,
        "data:" + "a" * 1_000_000,
        "b'" + "a" * 1_000_000,
        "b'\\" * 300_000,
        "b'b\"" * 250_000,
        "\\'" * 500_000,
        "\n" * 1_000_000,
    ],
    ids=lambda text: ascii(text[:10]),
)
def test_a_text_made_to_take_long_takes_no_longer_than_others(text: str) -> None:
    # What takes the square of a million would not end in this test's time.
    for cleaned in (clean_text(text), clean_block(text)):
        assert len(cleaned) <= MAX_TEXT_CHARACTERS + 1


@pytest.mark.parametrize("length", range(4 * MAX_TEXT_CHARACTERS - 40, 4 * MAX_TEXT_CHARACTERS, 3))
def test_where_a_text_is_cut_no_secret_loses_its_mark(length: int) -> None:
    # Bytes in front shrink to a word, so that what is behind them moves into what is kept.
    front = "b'" + "x" * (length - 3) + "' "
    assert "secret" not in clean_text(f"{front}https://user:secret@host/secret " + "y" * 100)
    assert "secret" not in clean_text(f"{front}b'secret" + "secret" * 100)


def test_bidirectional_and_invisible_characters_are_escaped() -> None:
    assert clean_text("invoice\u202egpj.exe \u200b\u2066\ufeff") == r"invoice\u202egpj.exe \u200b\u2066\ufeff"


def test_an_integer_that_json_cannot_hold_is_measured() -> None:
    assert clean([2**63 - 1, -(2**63), 2**63, 10**5000]) == [2**63 - 1, -(2**63), "<64 bits>", "<16610 bits>"]


def test_deep_and_wide_values_are_cut() -> None:
    deep: object = "secret"
    for _ in range(100):
        deep = [deep]
    assert "secret" not in str(clean(deep))
    wide = clean({str(number): number for number in range(1_000)})
    assert isinstance(wide, dict)
    assert len(wide) == 128


def test_only_a_traceback_has_lines() -> None:
    event = redact(None, "", {"event": "a\nb", "caption": "c\n2026-01-01 forged", "exception": "Traceback\n  File"})
    assert event == {"event": r"a\nb", "caption": r"c\n2026-01-01 forged", "exception": "Traceback\n  File"}


def test_a_member_of_an_enumeration_of_numbers_is_its_number_at_once() -> None:
    cleaned = clean(HTTPStatus.UNPROCESSABLE_ENTITY)
    assert (cleaned, type(cleaned)) == (422, int)
