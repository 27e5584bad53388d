"""What CloudEvents 1.0.2 forbids is rejected in binary and in structured mode alike, with attribute and rule."""

import json
from typing import Any

import pytest

from service.events.attributes import MAX_ATTRIBUTE_CHARACTERS, MAX_ATTRIBUTES
from service.events.codec import decode_upload
from service.events.codec_errors import CloudEventInvalidError
from testing.uploads import BINARY, BY_URL, STRUCTURED, STRUCTURED_HEADERS, a_record


def binary_problem(**attributes: str) -> str:
    """Return what is said of attributes in headers."""
    headers = BINARY | {f"ce_{name}": value.encode("utf-8", "surrogatepass") for name, value in attributes.items()}
    with pytest.raises(CloudEventInvalidError) as caught:
        decode_upload(a_record(BY_URL, headers))
    return str(caught.value)


def structured_problem(**members: Any) -> str:
    """Return what is said of members of a structured event."""
    value = json.dumps(STRUCTURED | {"data": BY_URL} | members, ensure_ascii=False).encode()
    with pytest.raises(CloudEventInvalidError) as caught:
        decode_upload(a_record(value, STRUCTURED_HEADERS))
    return str(caught.value)


def is_read(**attributes: str) -> bool:
    """Return whether attributes are accepted in both modes."""
    headers = BINARY | {f"ce_{name}": value.encode() for name, value in attributes.items()}
    structured = a_record(STRUCTURED | {"data": BY_URL} | attributes, STRUCTURED_HEADERS)
    return decode_upload(a_record(BY_URL, headers)).event == decode_upload(structured).event


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("id", "", "id (empty)"),
        ("id", "a\nb", "id (a character that CloudEvents forbids)"),
        ("id", "a\x85b", "id (a character that CloudEvents forbids)"),
        ("id", "a\ufffeb", "id (a character that CloudEvents forbids)"),
        ("id", "a\U0001ffffb", "id (a character that CloudEvents forbids)"),
        ("type", "", "type (empty)"),
        ("specversion", "1", "specversion (not 1.0)"),
        ("specversion", "1.0.2", "specversion (not 1.0)"),
        ("specversion", "1.0\n", "specversion (a character that CloudEvents forbids)"),
        ("source", "", "source (empty)"),
        ("source", "/up loads", "source (not a URI reference)"),
        ("source", "/uploads ", "source (not a URI reference)"),
        ("source", "/ü", "source (not a URI reference)"),
        ("source", "/%zz", "source (not a URI reference)"),
        ("source", "1a:b", "source (not a URI reference)"),
        ("source", "a#b#c", "source (not a URI reference)"),
        ("source", "<x>", "source (not a URI reference)"),
        ("subject", "", "subject (empty)"),
        ("subject", "\0", "subject (a character that CloudEvents forbids)"),
        ("dataschema", "", "dataschema (empty)"),
        ("dataschema", "/relative", "dataschema (not an absolute URI)"),
        ("dataschema", "https://x/a b", "dataschema (not an absolute URI)"),
        ("datacontenttype", "json", "datacontenttype (not a media type)"),
        ("time", "", "time (not RFC 3339)"),
        ("time", "2026-02-30T00:00:00Z", "time (not RFC 3339)"),
        ("time", "2026-03-01T12:30:60Z", "time (not RFC 3339)"),
        ("own_name", "x", "an extension (its name is not of the letters a to z and digits)"),
        ("own\n", "x", "an extension (its name is not of the letters a to z and digits)"),
        ("größe", "x", "an extension (its name is not of the letters a to z and digits)"),
        ("own", "\x1b[31m", "an extension (a character that CloudEvents forbids)"),
    ],
)
def test_what_is_forbidden_is_named_alike_in_both_modes(name: str, value: str, rule: str) -> None:
    assert binary_problem(**{name: value}).endswith(f"attributes at fault: {rule}")
    assert structured_problem(**{name: value}).endswith(f"attributes at fault: {rule}")


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("id", 7, "id (not a string)"),
        ("type", ["x"], "type (not a string)"),
        ("source", True, "source (not a string)"),
        ("specversion", 1.0, "specversion (not a string)"),
        ("subject", {}, "subject (not a string)"),
        ("time", 5, "time (not RFC 3339)"),
        ("Own", "x", "an extension (its name is not of the letters a to z and digits)"),
        ("ID", "8", "an extension (its name is not of the letters a to z and digits)"),
        ("", "x", "an extension (its name is not of the letters a to z and digits)"),
        ("own", 1.5, "an extension (neither string, integer nor boolean)"),
        ("own", [], "an extension (neither string, integer nor boolean)"),
        ("own", {}, "an extension (neither string, integer nor boolean)"),
        ("own", 2**31, "an extension (an integer beyond 32 bits)"),
        ("own", -(2**31) - 1, "an extension (an integer beyond 32 bits)"),
    ],
)
def test_what_only_json_can_hold_is_named(name: str, value: Any, rule: str) -> None:
    assert structured_problem(**{name: value}).endswith(f"attributes at fault: {rule}")


def test_data_in_a_header_is_no_attribute() -> None:
    assert binary_problem(data="x").endswith("an extension (a reserved name)")


def test_data_stands_beside_no_other_data() -> None:
    assert structured_problem(data_base64="e30=").endswith("data and data_base64 stand beside each other")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source", "https://shop.example.com:8443/uploads?a=b&c=%20#d"),
        ("source", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"),
        ("source", "mailto:a@example.com"),
        ("source", "https://[2001:db8::1]/uploads"),
        ("source", "https://user:%40@[::1]:80/uploads"),
        ("source", "//a@b@c"),
        ("source", "//host/path"),
        ("source", "uploads"),
        ("id", "ä 😀 \u00a0"),
        ("type", "modstream.image.uploaded.v1"),
        ("dataschema", "https://example.com/schema.json#/upload"),
        ("datacontenttype", "application/json; charset=utf-8"),
        ("datacontenttype", "application/vnd.shop+json;v=1"),
        ("time", "2016-12-31T23:59:60Z"),
        ("time", "2016-12-31T15:59:60.5-08:00"),
        ("time", "2026-03-01t12:00:00.123456789z"),
        ("partitionkey", ""),
        ("a1", "x"),
    ],
)
def test_what_is_allowed_is_read_in_both_modes(name: str, value: str) -> None:
    assert is_read(**{name: value})


@pytest.mark.parametrize("value", [True, False, 0, 2**31 - 1, -(2**31), "text", "", None])
def test_extensions_of_every_type_that_json_can_hold_are_read(value: object) -> None:
    record = a_record(STRUCTURED | {"data": BY_URL, "own": value}, STRUCTURED_HEADERS)
    assert decode_upload(record).event.image_id == "42"


def test_all_that_is_wrong_is_named_at_once_and_extensions_once() -> None:
    problem = structured_problem(id="", source=" ", own=[], other=[])
    assert problem.endswith(
        "attributes at fault: source (not a URI reference), id (empty), "
        "an extension (neither string, integer nor boolean)"
    )


def test_attributes_are_bounded_in_number_and_length() -> None:
    many = {f"a{number}": "" for number in range(MAX_ATTRIBUTES)}
    assert binary_problem(**many).endswith(f"more than {MAX_ATTRIBUTES} attributes")
    assert structured_problem(**many).endswith(f"more than {MAX_ATTRIBUTES} attributes")
    long = {"a": "x" * MAX_ATTRIBUTE_CHARACTERS}
    assert binary_problem(**long).endswith(f"more than {MAX_ATTRIBUTE_CHARACTERS} characters of attributes")
    assert structured_problem(**long).endswith(f"more than {MAX_ATTRIBUTE_CHARACTERS} characters of attributes")
