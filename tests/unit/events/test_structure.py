"""An event's commas and brackets are counted before anything is built from it."""

import base64
import json
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.image_uploaded import (
    MAX_CAPTION_CHARACTERS,
    MAX_CONTEXT_ENTRIES,
    MAX_CONTEXT_KEY_CHARACTERS,
    MAX_CONTEXT_VALUE_CHARACTERS,
    MAX_URL_CHARACTERS,
)
from service.core.errors import RejectedError
from service.core.records import MAX_HEADERS
from service.events.codec import decode_upload
from service.events.codec_errors import EventTooComplexError
from service.events.structure import MAX_STRUCTURE, check_structure
from testing.uploads import BINARY, BY_URL, STRUCTURED, STRUCTURED_HEADERS, a_record

BEGINNING = b'{"image_id": "42", "image": {"url": "https://cdn.example.com/42.jpg"}, "more": '
MANY = MAX_STRUCTURE + 1


def bombs() -> Iterator[tuple[str, bytes]]:
    """Yield JSON values that take many objects."""
    yield "lists", b"[" + b",".join([b"[]"] * MANY) + b"]"
    yield "objects", b"[" + b",".join([b"{}"] * MANY) + b"]"
    yield "numbers", b"[" + b",".join([b"0"] * MANY) + b"]"
    yield "members", b"{" + b",".join(b'"%d":0' % number for number in range(MANY)) + b"}"
    yield "one name", b"{" + b",".join([b'"a":0'] * MANY) + b"}"
    yield "nested lists", b"[" + b",".join([b"[[[[[[[[]]]]]]]]"] * (MANY // 8)) + b"]"
    yield "behind an image", b'{"inline": "AAAA", "x": [' + b",".join([b"0"] * MANY) + b"]}"
    yield "before an image", b'{"x": [' + b",".join([b"0"] * MANY) + b'], "inline": "AAAA"}'
    yield "in an image", b'{"inline": [' + b",".join([b"0"] * MANY) + b'], "x": "AAAA"}'


@pytest.mark.parametrize("bomb", [bomb for _, bomb in bombs()], ids=[name for name, _ in bombs()])
def test_an_event_with_too_many_values_is_named_in_every_form(bomb: bytes) -> None:
    value = BEGINNING + bomb + b"}"
    structured = json.dumps(STRUCTURED).encode()[:-1] + b', "data": ' + value + b"}"
    encoded = STRUCTURED | {"data_base64": base64.b64encode(value).decode()}
    for record in (
        a_record(value),
        a_record(value, BINARY),
        a_record(structured, STRUCTURED_HEADERS),
        a_record(encoded, STRUCTURED_HEADERS),
    ):
        with pytest.raises(EventTooComplexError):
            decode_upload(record)


def test_the_longest_event_of_the_contract_is_read_whatever_its_texts_hold() -> None:
    event = BY_URL | {
        "image": {"url": "[" * MAX_URL_CHARACTERS},
        "caption": "," * MAX_CAPTION_CHARACTERS,
        "context": {
            f"{number:02}" + "{" * (MAX_CONTEXT_KEY_CHARACTERS - 2): "," * MAX_CONTEXT_VALUE_CHARACTERS
            for number in range(MAX_CONTEXT_ENTRIES)
        },
    }
    assert len(decode_upload(a_record(event)).event.context) == MAX_CONTEXT_ENTRIES


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" , ", " :\t")])
def test_an_inline_image_as_large_as_brokers_take_is_read(separators: tuple[str, str]) -> None:
    image = {"inline": "A" * 1_400_000, "media_type": "image/jpeg"}
    assert decode_upload(a_record(json.dumps({"image_id": "42", "image": image}, separators=separators).encode()))


texts = st.sampled_from(["inline", '"inline":"', 'inline":', 'x"inline', ":", "\\", ",[{", ""])
documents = st.recursive(
    texts | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@given(documents, st.sampled_from([(",", ":"), (", ", " : ")]))
def test_no_structure_outside_a_string_is_left_out_of_the_count(document: object, separators: tuple[str, str]) -> None:
    text = json.dumps(document, separators=separators).encode()
    outside = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", text)
    for sign in (b",", b"[", b"{"):
        if sign in outside:
            with pytest.raises(EventTooComplexError):
                check_structure(text.replace(sign, sign * MANY))


def test_a_flood_of_headers_is_named() -> None:
    headers = tuple((f"ce_a{number}", b"") for number in range(MAX_HEADERS + 1))
    with pytest.raises(RejectedError) as caught:
        decode_upload(a_record(BY_URL, (*BINARY.items(), *headers)))
    assert caught.value.reason == "event.too_many_headers"


def test_headers_that_a_retry_added_do_not_count() -> None:
    theirs = tuple((f"x-{number}", b"") for number in range(MAX_HEADERS))
    ours = tuple((f"modstream-{number}", b"") for number in range(20))
    assert decode_upload(a_record(BY_URL, theirs + ours)).event.image_id == "42"
