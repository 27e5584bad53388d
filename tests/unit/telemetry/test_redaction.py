"""No image, no signed URL and no terminal control leaves by a log."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from service.telemetry.redaction import MAX_TEXT_CHARACTERS, clean, clean_text


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
        ("two\nlines", "two\nlines"),
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
