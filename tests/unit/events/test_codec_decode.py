"""The codec reads three forms, and has a reason for everything else."""

import base64
import json
import traceback
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.image_uploaded import ImageByUrlV1, ImageInlineV1
from service.core.errors import RejectedError
from service.core.records import Headers, SourceRecord
from service.events.codec import decode_upload
from service.events.event_faults import MAX_FAULTS_NAMED
from testing.uploads import BINARY, BY_URL, INLINE, STRUCTURED, STRUCTURED_HEADERS, a_record


def reason_of(record: SourceRecord) -> str:
    """Return why the record is rejected."""
    with pytest.raises(RejectedError) as caught:
        decode_upload(record)
    return caught.value.reason


def message_of(record: SourceRecord) -> str:
    """Return what the rejection says."""
    with pytest.raises(RejectedError) as caught:
        decode_upload(record)
    return str(caught.value)


class TestReading:
    @pytest.mark.parametrize("value", [BY_URL, INLINE])
    def test_a_bare_value_without_headers_is_read(self, value: dict[str, object]) -> None:
        upload = decode_upload(a_record(value))
        assert upload.event.image_id == "42"
        assert upload.event.tasks == ("moderation",)
        assert upload.envelope is None

    def test_binary_mode_is_read(self) -> None:
        upload = decode_upload(a_record(BY_URL, BINARY | {"ce_time": b"2026-03-01T13:00:00+01:00"}))
        assert upload.event.image == ImageByUrlV1(url="https://cdn.example.com/42.jpg")
        assert upload.envelope is not None
        assert (upload.envelope.id, upload.envelope.source) == ("7", "/uploads")
        assert upload.envelope.time == datetime(2026, 3, 1, 12, tzinfo=UTC)

    def test_structured_mode_is_read(self) -> None:
        value = STRUCTURED | {"time": "2026-03-01T12:00:00Z", "data": INLINE, "dataschema": None, "extension": 1}
        upload = decode_upload(a_record(value, STRUCTURED_HEADERS))
        assert upload.event.image == ImageInlineV1(inline="/9j/4AAQ", media_type="image/jpeg")
        assert upload.envelope is not None
        assert (upload.envelope.id, upload.envelope.source) == ("7", "/uploads")
        assert upload.envelope.time == datetime(2026, 3, 1, 12, tzinfo=UTC)

    def test_structured_data_may_be_base64(self) -> None:
        data = base64.b64encode(json.dumps(BY_URL).encode()).decode()
        upload = decode_upload(a_record(STRUCTURED | {"data_base64": data}, STRUCTURED_HEADERS))
        assert upload.event.image_id == "42"

    def test_the_three_forms_give_the_same_event(self) -> None:
        full = BY_URL | {"uploaded_at": "2026-03-01T12:00:00Z", "tasks": ["tags"], "context": {"a": "b"}}
        bare = decode_upload(a_record(full)).event
        assert decode_upload(a_record(full, BINARY)).event == bare
        assert decode_upload(a_record(STRUCTURED | {"data": full}, STRUCTURED_HEADERS)).event == bare

    def test_time_is_no_duty_and_is_not_invented(self) -> None:
        for record in (a_record(BY_URL, BINARY), a_record(STRUCTURED | {"data": BY_URL}, STRUCTURED_HEADERS)):
            envelope = decode_upload(record).envelope
            assert envelope is not None
            assert envelope.time is None

    def test_headers_of_others_are_left_alone(self) -> None:
        upload = decode_upload(a_record(BY_URL, {"x-binary": b"\xff\x00", "content-type": b"application/json"}))
        assert upload.envelope is None

    def test_a_key_that_is_no_text_is_no_matter(self) -> None:
        for record in (
            a_record(BY_URL, BINARY, key=b"\xff\xfe"),
            a_record(STRUCTURED | {"data": BY_URL}, STRUCTURED_HEADERS, key=b"\xff\xfe"),
        ):
            assert decode_upload(record).event.image_id == "42"

    def test_of_repeated_headers_the_last_counts(self) -> None:
        upload = decode_upload(a_record(BY_URL, (*BINARY.items(), ("ce_id", b"8"))))
        assert upload.envelope is not None
        assert upload.envelope.id == "8"

    def test_header_names_may_be_written_in_capitals(self) -> None:
        upload = decode_upload(a_record(BY_URL, {name.upper(): value for name, value in BINARY.items()}))
        assert upload.envelope is not None

    def test_null_headers_count_as_missing(self) -> None:
        null: Any = None
        assert decode_upload(a_record(BY_URL, (("ce_id", null), ("content-type", null)))).envelope is None


class TestRejecting:
    @pytest.mark.parametrize("value", [None, b""])
    def test_a_tombstone_is_named(self, value: bytes | None) -> None:
        assert reason_of(a_record(value)) == "event.empty"

    def test_an_event_without_data_is_empty(self) -> None:
        assert reason_of(a_record(STRUCTURED, STRUCTURED_HEADERS)) == "event.empty"

    def test_a_large_event_is_named_before_it_is_read(self) -> None:
        with pytest.raises(RejectedError) as caught:
            decode_upload(a_record(b"x" * 101), max_bytes=100)
        assert caught.value.reason == "event.too_large"
        assert str(caught.value) == "The event has 101 bytes; at most 100 are read (kafka.max_event_bytes)"

    @pytest.mark.parametrize(
        "value",
        [
            b"hello",
            b"{",
            b"\xff\xfe",
            b'{"image_id": "\\ud800", "image": {"url": "u"}}',
            b'{"image_id": "\xed\xa0\x80", "image": {"url": "u"}}',
            b"[" * 60_000,
            b'{"a":' * 60_000,
        ],
        ids=["text", "cut", "utf-16", "lone surrogate", "encoded surrogate", "deep list", "deep object"],
    )
    def test_bytes_that_are_no_json_are_named(self, value: bytes) -> None:
        assert reason_of(a_record(value)) == "event.not_json"
        assert reason_of(a_record(value, STRUCTURED_HEADERS)) == "event.not_json"
        assert reason_of(a_record(value, BINARY)) == "event.not_json"

    @pytest.mark.parametrize(
        "value",
        [
            {},
            [],
            None,
            5,
            {"image_id": "42"},
            {"image_id": "42", "image": {}},
            {"image_id": "42", "image": {"inline": "AAAA"}},
            {"image_id": "42", "image": {"url": "u", "inline": "AAAA", "media_type": "image/png"}},
            {"image_id": 42, "image": {"url": "u"}},
            BY_URL | {"image_id": ""},
            BY_URL | {"image_id": "line\nbreak"},
            BY_URL | {"image_id": "nul\0"},
            BY_URL | {"tasks": []},
            BY_URL | {"tasks": ["delete"]},
            BY_URL | {"uploaded_at": "2026-03-01T12:00:00"},
            BY_URL | {"uploaded_at": "0001-01-01T00:00:00+05:00"},
            BY_URL | {"uploaded_at": 1_700_000_000},
            BY_URL | {"context": {str(number): "" for number in range(33)}},
            BY_URL | {"context": {"": "empty key"}},
        ],
        ids=lambda value: json.dumps(value)[:60],
    )
    def test_json_that_is_no_upload_is_named(self, value: object) -> None:
        assert reason_of(a_record(json.dumps(value).encode())) == "event.invalid"

    def test_faults_name_field_and_rule(self) -> None:
        message = message_of(a_record({"image_id": "", "image": {"inline": "AAAA"}}))
        assert message == (
            "The event does not fit image_uploaded.v1: image_id: String should have at least 1 character; "
            "image.media_type: Field required"
        )

    def test_a_wrong_task_is_not_also_called_a_missing_one(self) -> None:
        message = message_of(a_record(BY_URL | {"tasks": ["delete"]}))
        assert message == "The event does not fit image_uploaded.v1: tasks.0: Input should be 'moderation' or 'tags'"

    @pytest.mark.parametrize(
        ("context", "named"),
        [
            ({"album": 7, "shop": "x"}, "context.album: Input should be a valid string"),
            ({"画像": 7}, "context.画像: "),
            ({"": "x"}, 'context."" (its key): String should have at least 1 character'),
            ({"k" * 200: "x"}, f"context.{'k' * 64}… (its key): String should have at most 128 characters"),
            ({"https://cdn.example.com/?sig=secret": 7}, "context.*: "),
        ],
    )
    def test_a_wrong_entry_of_the_context_is_named_by_its_key(self, context: object, named: str) -> None:
        assert f"image_uploaded.v1: {named}" in message_of(a_record(BY_URL | {"context": context}))

    @pytest.mark.parametrize("headers", [(), {"content-type": b"application/json"}])
    def test_a_structured_event_without_its_content_type_gets_a_hint(self, headers: Headers | dict[str, bytes]) -> None:
        message = message_of(a_record(STRUCTURED | {"data": BY_URL}, headers))
        assert message.endswith("send it with the record header content-type: application/cloudevents+json")

    @pytest.mark.parametrize("value", [{"image_id": "42"}, ["specversion"], {"specversion": "1.0"}])
    def test_what_is_no_structured_event_gets_no_such_hint(self, value: object) -> None:
        assert "CloudEvent" not in message_of(a_record(value))

    def test_few_of_many_faults_are_named(self) -> None:
        context = {str(number): number for number in range(30)}
        message = message_of(a_record(BY_URL | {"context": context}))
        assert message.count("context.") == MAX_FAULTS_NAMED
        assert message.endswith(f"; and {30 - MAX_FAULTS_NAMED} more")

    @pytest.mark.parametrize(
        ("faulty", "limit"),
        [({"tasks": [5] * 60_000}, 16), ({"context": dict.fromkeys(map(str, range(60_000)), 5)}, 32)],
        ids=["tasks", "context"],
    )
    def test_as_many_faults_as_an_event_may_hold_cost_no_more_than_one(
        self, faulty: dict[str, object], limit: int
    ) -> None:
        (field,) = faulty
        message = message_of(a_record(BY_URL | faulty))
        assert message.endswith(f"image_uploaded.v1: {field}: Input should have at most {limit} entries")

    @pytest.mark.parametrize(
        ("event_type", "reason"),
        [
            ("modstream.image.uploaded.v2", "event.unsupported_version"),
            ("modstream.image.verdict.v1", "event.unsupported_type"),
            ("com.example.order", "event.unsupported_type"),
            ("modstream.image.uploaded.v1 ", "event.unsupported_type"),
            ("modstream.image.uploaded.v1\n", "event.cloudevent_invalid"),
        ],
    )
    def test_another_type_or_version_is_named(self, event_type: str, reason: str) -> None:
        assert reason_of(a_record(BY_URL, BINARY | {"ce_type": event_type.encode()})) == reason
        assert reason_of(a_record(STRUCTURED | {"type": event_type, "data": BY_URL}, STRUCTURED_HEADERS)) == reason

    @pytest.mark.parametrize("attribute", ["id", "source", "type", "specversion"])
    def test_a_missing_attribute_is_named(self, attribute: str) -> None:
        headers = {name: value for name, value in BINARY.items() if name != f"ce_{attribute}"}
        value = {name: text for name, text in STRUCTURED.items() if name != attribute} | {"data": BY_URL}
        for record in (a_record(BY_URL, headers), a_record(value, STRUCTURED_HEADERS)):
            assert reason_of(record) == "event.cloudevent_invalid"
            assert message_of(record).endswith(f"missing attributes: {attribute}")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("specversion", "0.3"),
            ("specversion", "2.0"),
            ("id", ""),
            ("time", "yesterday"),
            ("time", "2026-03-01T12:00:00"),
            ("subject", ""),
            ("not_a_name", "x"),
        ],
    )
    def test_an_attribute_that_breaks_the_rules_is_rejected(self, name: str, value: str) -> None:
        binary = a_record(BY_URL, BINARY | {f"ce_{name}": value.encode()})
        structured = a_record(STRUCTURED | {name: value, "data": BY_URL}, STRUCTURED_HEADERS)
        assert reason_of(binary) == reason_of(structured) == "event.cloudevent_invalid"
        assert message_of(binary) == message_of(structured)

    @pytest.mark.parametrize(
        ("value", "headers"),
        [
            (BY_URL, BINARY | {"ce_subject": b"\xff"}),
            ([], STRUCTURED_HEADERS),
            (STRUCTURED | {"id": 5}, STRUCTURED_HEADERS),
            (STRUCTURED | {"time": 5}, STRUCTURED_HEADERS),
            (STRUCTURED | {"data_base64": 5}, STRUCTURED_HEADERS),
            (STRUCTURED | {"data_base64": "ä"}, STRUCTURED_HEADERS),
            (STRUCTURED | {"data_base64": "A"}, STRUCTURED_HEADERS),
            (b"\x00", (("content-type", b"application/cloudevents+avro"),)),
            ([STRUCTURED], (("content-type", b"application/cloudevents-batch+json"),)),
        ],
    )
    def test_a_broken_envelope_is_rejected(self, value: object, headers: Headers | dict[str, bytes]) -> None:
        assert reason_of(a_record(value, headers)) == "event.cloudevent_invalid"

    @pytest.mark.parametrize(
        ("value", "headers"),
        [
            ({"image_id": "42", "image": "SECRET", "caption": ["SECRET"], "SECRET": 1}, ()),
            (BY_URL | {"context": {"a SECRET": 1}, "tasks": ["SECRET"], "uploaded_at": "SECRET"}, ()),
            (b'{"caption": "SECRET', ()),
            (b'{"caption": SECRET}', STRUCTURED_HEADERS),
            (BY_URL, BINARY | {"ce_type": b"SECRET", "ce_time": b"SECRET"}),
            (BY_URL, BINARY | {"ce_type": b"SECRET"}),
            (BY_URL, BINARY | {"ce_specversion": b"SECRET", "ce_SECRET_": b"SECRET"}),
            (BY_URL, {"content-type": b"application/cloudevents+SECRET"}),
        ],
    )
    def test_nothing_of_the_payload_is_repeated(self, value: object, headers: Headers | dict[str, bytes]) -> None:
        with pytest.raises(RejectedError) as caught:
            decode_upload(a_record(value, headers))
        assert caught.value.__context__ is None
        assert "SECRET" not in str(caught.value).upper()
        assert "SECRET" not in "".join(traceback.format_exception_only(caught.value)).upper()
