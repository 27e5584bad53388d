"""The codec: three forms in, binary mode out, and a reason for everything else."""

import base64
import json
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.example_files import read_examples
from schemas.image_uploaded import ImageByUrlV1, ImageInlineV1, ImageUploadedV1
from schemas.registry import TAGS_V1, VERDICT_V1
from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.errors import RejectedError
from service.stream.codec import (
    MAX_FAULTS_NAMED,
    UploadEvent,
    decode_upload,
    encode_tags,
    encode_upload,
    encode_verdict,
    outcome_id,
)
from service.stream.records import Headers, SourceRecord

BY_URL = {"image_id": "42", "image": {"url": "https://cdn.example.com/42.jpg"}}
INLINE = {"image_id": "42", "image": {"inline": "/9j/4AAQ", "media_type": "image/jpeg"}}
UPLOADED = "modstream.image.uploaded.v1"
BINARY: dict[str, bytes] = {
    "ce_specversion": b"1.0",
    "ce_type": UPLOADED.encode(),
    "ce_source": b"/uploads",
    "ce_id": b"7",
}
STRUCTURED = {"specversion": "1.0", "type": UPLOADED, "source": "/uploads", "id": "7"}
STRUCTURED_HEADERS: Headers = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)


def a_record(value: object, headers: Headers | dict[str, bytes] = (), *, key: bytes | None = b"42") -> SourceRecord:
    """Return a record; a value that is no bytes is written as JSON."""
    encoded = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    pairs = tuple(headers.items()) if isinstance(headers, dict) else headers
    return SourceRecord("images.uploaded", 3, 1200, 1_772_366_400_000, key, encoded, pairs)


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

    def test_trace_headers_are_kept_as_they_came(self) -> None:
        traced: Headers = (("traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"), ("tracestate", b"a=b"))
        upload = decode_upload(a_record(BY_URL, (("other", b"x"), *traced)))
        assert upload.trace_headers == traced


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
        assert str(caught.value) == "The event has 101 bytes; at most 100 are read"

    @pytest.mark.parametrize(
        "value",
        [
            b"hello",
            b"{",
            b"\xff\xfe",
            b'{"image_id": "\\ud800", "image": {"url": "u"}}',
            b'{"image_id": "\xed\xa0\x80", "image": {"url": "u"}}',
            b"[" * 100_000,
            b'{"a":' * 100_000,
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
            "image.inline.media_type: Field required"
        )

    def test_few_of_many_faults_are_named(self) -> None:
        context = {str(number): number for number in range(30)}
        message = message_of(a_record(BY_URL | {"context": context}))
        assert message.count("context.*") == MAX_FAULTS_NAMED
        assert message.endswith(f"; and {30 - MAX_FAULTS_NAMED} more")

    @pytest.mark.parametrize(
        ("faulty", "limit"),
        [({"tasks": [5] * 1_000_000}, 16), ({"context": dict.fromkeys(map(str, range(100_000)), 5)}, 32)],
        ids=["tasks", "context"],
    )
    def test_a_million_faults_cost_no_more_than_one(self, faulty: dict[str, object], limit: int) -> None:
        (field,) = faulty
        message = message_of(a_record(BY_URL | faulty))
        assert message.endswith(f"image_uploaded.v1: {field}: Input should have at most {limit} entries")

    @pytest.mark.parametrize(
        ("event_type", "reason"),
        [
            ("modstream.image.uploaded.v2", "event.unsupported_version"),
            ("modstream.image.verdict.v1", "event.unsupported_type"),
            ("com.example.order", "event.unsupported_type"),
            ("modstream.image.uploaded.v1\n", "event.unsupported_type"),
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
            (BY_URL | {"context": {"SECRET": 1}, "tasks": ["SECRET"], "uploaded_at": "SECRET"}, ()),
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


class TestWriting:
    source = a_record(BY_URL, key=b"\xffkey")

    def test_a_verdict_is_a_cloudevent_in_binary_mode(self) -> None:
        verdict = VerdictV1.model_validate(read_examples(VERDICT_V1)["allow"])
        record = encode_verdict(verdict, topic="images.verdicts", source=self.source)
        assert (record.topic, record.key) == ("images.verdicts", b"\xffkey")
        assert dict(record.headers) == {
            "ce_specversion": b"1.0",
            "ce_type": b"modstream.image.verdict.v1",
            "ce_id": outcome_id(VERDICT_V1, self.source).encode(),
            "ce_source": b"/modstream",
            "ce_subject": verdict.image_id.encode(),
            "ce_time": verdict.moderated_at.isoformat().replace("+00:00", "Z").encode(),
            "content-type": b"application/json",
        }
        assert VerdictV1.model_validate_json(record.value or b"") == verdict

    def test_tags_are_a_cloudevent_in_binary_mode(self) -> None:
        tags = TagsV1.model_validate(read_examples(TAGS_V1)["objects"])
        record = encode_tags(tags, topic="images.tags", source=self.source)
        headers = dict(record.headers)
        assert (record.topic, record.key) == ("images.tags", b"\xffkey")
        assert headers["ce_type"] == b"modstream.image.tags.v1"
        assert headers["ce_id"] != outcome_id(VERDICT_V1, self.source).encode()
        assert TagsV1.model_validate_json(record.value or b"") == tags

    def test_the_sdk_reads_what_is_written(self) -> None:
        verdict = VerdictV1.model_validate(read_examples(VERDICT_V1)["block"])
        record = encode_verdict(verdict, topic="images.verdicts", source=self.source)
        event = from_kafka_event(KafkaMessage(dict(record.headers), None, record.value or b""))
        assert event.get_id() == outcome_id(VERDICT_V1, self.source)
        assert VerdictV1.model_validate(event.get_data()) == verdict

    def test_trace_headers_travel_beside_the_attributes(self) -> None:
        traced: Headers = (("traceparent", b"00-1"), ("tracestate", b"a=b"))
        verdict = VerdictV1.model_validate(read_examples(VERDICT_V1)["allow"])
        record = encode_verdict(verdict, topic="t", source=self.source, trace_headers=traced)
        assert record.headers[-2:] == traced

    def test_an_outcome_has_the_same_id_however_often_it_is_made(self) -> None:
        # Written out, because a change would make every consumer see repeats as new.
        assert outcome_id(VERDICT_V1, self.source) == "e03afe41-4808-50d6-a4ab-6fa3ba6aa489"

    @pytest.mark.parametrize("field", ["topic", "partition", "offset", "timestamp_ms"])
    def test_another_record_gives_another_id(self, field: str) -> None:
        place: dict[str, Any] = {"topic": "t", "partition": 1, "offset": 2, "timestamp_ms": 3}
        other = place | {field: "u" if field == "topic" else 9}
        make: Callable[..., SourceRecord] = lambda **given: SourceRecord(**given, key=None, value=None, headers=())  # noqa: E731 - one line
        assert outcome_id(VERDICT_V1, make(**place)) != outcome_id(VERDICT_V1, make(**other))

    def test_an_upload_written_is_read_back(self) -> None:
        event = ImageUploadedV1.model_validate(BY_URL | {"tasks": ["tags"], "context": {"a": "b"}})
        moment = datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1)))
        record = encode_upload(event, topic="images.uploaded", event_id="e1", source="/shop", time=moment)
        upload = decode_upload(a_record(record.value, record.headers))
        assert record.key == b"42"
        assert upload.event == event
        assert upload.envelope is not None
        assert (upload.envelope.id, upload.envelope.source, upload.envelope.time) == ("e1", "/shop", moment)

    def test_a_least_upload_stays_small(self) -> None:
        event = ImageUploadedV1.model_validate(BY_URL)
        record = encode_upload(event, topic="t", event_id="e1", source="/shop", time=datetime.now(UTC))
        assert json.loads(record.value or b"") == BY_URL


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["\0", "a" * 300, "2026-03-01T12:00:00Z", "tags", "9999-12-31T23:59:59-12:00"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
image_values = json_values | st.fixed_dictionaries(
    {}, optional={"url": json_values, "inline": json_values, "media_type": json_values}
)
upload_values = st.fixed_dictionaries(
    {},
    optional={
        "image_id": st.text() | json_values,
        "image": st.just({"url": "https://cdn.example.com/1.jpg"}) | image_values,
        "tenant": st.text() | json_values,
        "caption": json_values,
        "uploaded_at": json_values | st.datetimes(timezones=st.timezones()).map(datetime.isoformat),
        "tasks": st.lists(st.sampled_from(["moderation", "tags", "other"])) | json_values,
        "policy": json_values,
        "context": st.dictionaries(st.text(), st.text()) | json_values,
        "unknown": json_values,
    },
)
envelope_values = st.fixed_dictionaries(
    {"specversion": st.just("1.0") | json_values, "data": upload_values | json_values},
    optional={
        name: st.sampled_from(["x", UPLOADED]) | json_values
        for name in ("id", "type", "source", "time", "subject", "datacontenttype", "dataschema", "data_base64", "own")
    },
)
# Python writes NaN and Infinity, which is no JSON, and lone surrogates as escapes.
written = (upload_values | envelope_values | json_values).map(lambda value: json.dumps(value).encode())
header_names = st.sampled_from(
    [*BINARY, "ce_time", "ce_subject", "ce_x", "ce_", "content-type", "traceparent", "CE_ID"]
)
header_values = st.none() | st.binary() | st.sampled_from([*BINARY.values(), b"application/cloudevents+json"])
header_lists = st.lists(st.tuples(header_names | st.text(), header_values), max_size=8).map(tuple)
likely_headers = st.sampled_from([(), tuple(BINARY.items()), STRUCTURED_HEADERS])

# A busy machine is no failure, so there is no deadline.
fuzzed = settings(max_examples=300, deadline=None)


class TestFuzzing:
    @fuzzed
    @given(value=st.none() | st.binary() | written, headers=likely_headers | header_lists, key=st.none() | st.binary())
    def test_every_record_ends_as_event_or_rejection(self, value: bytes | None, headers: Headers, key: bytes) -> None:
        record = a_record(value, headers, key=key)
        outcome = self.decode_or_reject(record)
        if isinstance(outcome, RejectedError):
            assert outcome.reason.startswith("event.")
            assert len(str(outcome).encode()) < 2000
        else:
            self.can_be_answered(outcome, record)

    @fuzzed
    @given(value=upload_values.map(lambda value: json.dumps(value).encode()), headers=likely_headers)
    def test_likely_uploads_end_as_event_or_rejection(self, value: bytes, headers: Headers) -> None:
        record = a_record(value, headers)
        outcome = self.decode_or_reject(record)
        if isinstance(outcome, UploadEvent):
            self.can_be_answered(outcome, record)

    @staticmethod
    def decode_or_reject(record: SourceRecord) -> UploadEvent | RejectedError:
        """Any other exception fails the test."""
        try:
            return decode_upload(record)
        except RejectedError as rejection:
            return rejection

    @staticmethod
    def can_be_answered(upload: UploadEvent, record: SourceRecord) -> None:
        """Whatever was accepted can be written into an outcome, and into an upload again."""
        event = upload.event
        verdict = VerdictV1.model_validate(read_examples(VERDICT_V1)["allow"]).model_copy(
            update={"image_id": event.image_id, "tenant": event.tenant, "context": event.context}
        )
        outcome = encode_verdict(verdict, topic="t", source=record, trace_headers=upload.trace_headers)
        assert VerdictV1.model_validate_json(outcome.value or b"").context == event.context
        moment = event.uploaded_at or datetime(2026, 1, 1, tzinfo=UTC)
        again = encode_upload(event, topic="t", event_id="1", source="/", time=moment)
        assert decode_upload(a_record(again.value, again.headers)).event == event
