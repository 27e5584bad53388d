"""The event inside a dead letter, for people."""

import orjson
import pytest

from service.events.raw_event import event_of, tenant_of
from service.tools.dead_letters.event import shown_event, shown_text
from testing.dead_letters import a_dead_letter
from testing.uploads import BINARY, BY_URL, INLINE, STRUCTURED, STRUCTURED_HEADERS, a_record

SIGNED = "https://cdn.example.com/42.jpg?X-Amz-Signature=secret&b=1#part"


@pytest.mark.parametrize(
    "record",
    [
        a_record(BY_URL | {"tenant": "shop"}),
        a_record(BY_URL | {"tenant": "shop"}, BINARY),
        a_record(STRUCTURED | {"data": BY_URL | {"tenant": "shop"}}, STRUCTURED_HEADERS),
        # What breaks CloudEvents' rules became a dead letter for that, and can be read all the same.
        a_record(BY_URL | {"tenant": "shop"}, {"ce_id": b"7"}),
    ],
    ids=["bare", "binary", "structured", "invalid"],
)
def test_the_tenant_is_read_from_every_form_of_event(record: object) -> None:
    assert tenant_of(record) == "shop"  # type: ignore[arg-type]  # pytest's parameters have no type


@pytest.mark.parametrize("value", [b"", b"no event", b'{"cut": "of', b"[1]", None])
def test_what_is_no_event_has_no_tenant(value: bytes | None) -> None:
    assert tenant_of(a_record(value)) is None


def test_an_event_that_names_no_tenant_is_the_default_ones() -> None:
    assert tenant_of(a_record(BY_URL)) == "default"


def test_urls_are_shown_without_their_queries_unless_revealed() -> None:
    event = BY_URL | {"image": {"url": SIGNED}, "caption": f"see {SIGNED}, and https://u:p@host/x?q=1"}
    shown = orjson.dumps(shown_event(a_record(event), reveal=False)).decode()
    assert "https://cdn.example.com/42.jpg?…" in shown
    assert "https://host/x?…" in shown
    for secret in ("secret", "part", "u:p", "q=1"):
        assert secret not in shown
    assert shown_event(a_record(event), reveal=True) == event


def test_image_bytes_are_counted_even_when_revealed() -> None:
    shown = shown_event(a_record(INLINE), reveal=True)
    assert shown == {"image_id": "42", "image": {"inline": "<8 characters of base64>", "media_type": "image/jpeg"}}


def test_a_value_that_is_no_event_is_shown_from_its_start() -> None:
    shown = shown_event(a_record(b"\xff\xd8 https://host/x?sig=secret " + b"x " * 4500), reveal=False)
    assert isinstance(shown, str)
    assert shown.startswith("\\xff\\xd8 https://host/x?… x x")
    assert shown.endswith("… (9029 bytes)")
    assert len(shown) < 4100


def test_image_bytes_of_a_value_that_was_cut_are_counted_too() -> None:
    shown = shown_event(a_record(b'{"image": {"inline": "' + b"/9j4AAQ" * 1000), reveal=True)
    assert shown == '{"image": {"inline": "<3978 characters of base64>… (7022 bytes)'


def test_an_event_is_not_checked() -> None:
    assert event_of(a_dead_letter(value={"image": 7})) == {"image": 7}


def test_a_text_without_urls_stays() -> None:
    assert shown_text("what? #1", reveal=False) == "what? #1"


@pytest.mark.parametrize(
    "value",
    [
        b'{"x":' * 900 + b"1" + b"}" * 900,
        b'{"inline":' * 900 + b"1" + b"}" * 900,
        b'{"x":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"x":[' + b",".join([b"[]"] * 300_000) + b"]}",
        b"{" + b",".join(b'"%d":1' % number for number in range(100_000)) + b"}",
        b'{"' + b"a" * 1_000_000 + b'":1}',
        b'{"x":"' + b"a" * 1_000_000 + b'"}',
        b'{"x":"' + b"://" * 300_000 + b'"}',
        b"a" * 1_000_000,
    ],
    ids=lambda value: value[:16].decode(),
)
@pytest.mark.parametrize("reveal", [True, False])
def test_what_is_shown_of_an_event_is_bounded_whatever_it_holds(value: bytes, *, reveal: bool) -> None:
    assert len(orjson.dumps(shown_event(a_record(value), reveal=reveal))) < 100_000


def test_what_is_left_out_is_counted() -> None:
    shown = shown_event(a_record({"x": list(range(1_000))}), reveal=False)
    assert isinstance(shown, dict)
    assert shown["x"][-1] == "501 more"


def test_no_half_of_a_url_is_shown_where_a_value_is_cut() -> None:
    shown = shown_event(a_record(b"x" * 3980 + b" https://user:secret@host/" + b"x" * 100), reveal=False)
    assert "secret" not in str(shown)
