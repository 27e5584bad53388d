"""Whatever stands in a record, the codec ends with an upload or with a reason."""

import json
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.example_files import read_examples
from schemas.registry import VERDICT_V1
from schemas.verdict import VerdictV1
from service.core.errors import RejectedError
from service.core.records import Headers, SourceRecord
from service.events.codec import UploadEvent, decode_upload, encode_upload, encode_verdict
from testing.uploads import BINARY, STRUCTURED_HEADERS, UPLOADED, a_record

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
        outcome = encode_verdict(verdict, topic="t", source=record)
        assert VerdictV1.model_validate_json(outcome.value or b"").context == event.context
        moment = event.uploaded_at or datetime(2026, 1, 1, tzinfo=UTC)
        again = encode_upload(event, topic="t", event_id="1", source="/", time=moment)
        assert decode_upload(a_record(again.value, again.headers)).event == event
