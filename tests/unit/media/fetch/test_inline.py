"""Images inside events: standard base64 and nothing else, within the limit."""

import base64
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import RejectedError
from service.media.errors import ImageReferenceError, ImageTooLargeError
from service.media.fetch.inline import decode_inline


@given(st.binary(min_size=1, max_size=100))
def test_bytes_arrive_unchanged_at_exactly_the_limit(data: bytes) -> None:
    assert decode_inline(base64.b64encode(data).decode(), limit_bytes=len(data)) == data


@given(st.binary(min_size=2, max_size=100))
def test_one_byte_over_the_limit_is_too_large(data: bytes) -> None:
    with pytest.raises(ImageTooLargeError):
        decode_inline(base64.b64encode(data).decode(), limit_bytes=len(data) - 1)


def test_what_is_too_large_is_not_decoded() -> None:
    text = "A" * 40_000_000
    tracemalloc.start()
    with pytest.raises(ImageTooLargeError):
        decode_inline(text, limit_bytes=1000)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < len(text) + 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AAA",
        "AAAA=",
        "=AAA",
        "AA=A",
        "AA==AA==",
        "AA AA",
        "AAAA\n",
        "AA-_",
        "AAA\u00c4",
        "\uff21" * 4,
        "....",
        "====",
    ],
)
def test_other_notations_are_refused(text: str) -> None:
    with pytest.raises(ImageReferenceError, match="standard base64"):
        decode_inline(text, limit_bytes=1000)


@pytest.mark.parametrize("text", ["data:image/png;base64,AAAA", "DATA:,"])
def test_a_data_url_is_distinguished(text: str) -> None:
    with pytest.raises(ImageReferenceError, match="without data:"):
        decode_inline(text, limit_bytes=1000)


@given(st.text(max_size=50))
def test_every_text_is_bytes_or_rejected(text: str) -> None:
    try:
        assert len(decode_inline(text, limit_bytes=20)) <= 20
    except RejectedError:
        return
