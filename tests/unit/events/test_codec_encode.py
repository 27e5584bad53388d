"""The codec writes CloudEvents in binary mode, with ids by which a repeat can be spotted."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event

from schemas.example_files import read_examples
from schemas.image_uploaded import ImageUploadedV1
from schemas.registry import SHADOW_DECISION_V1, TAGS_V1, VERDICT_V1
from schemas.shadow import ShadowDecisionV1
from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.core.records import Headers, SourceRecord
from service.events.codec import decode_upload, encode_shadow, encode_tags, encode_upload, encode_verdict, outcome_id
from testing.uploads import BY_URL, a_record


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

    def test_what_policies_and_an_engine_on_trial_decide_are_two_events_with_lasting_ids(self) -> None:
        examples = read_examples(SHADOW_DECISION_V1).values()
        decisions = [ShadowDecisionV1.model_validate(example) for example in examples]
        records = [encode_shadow(decision, topic="shadow", source=self.source) for decision in decisions * 2]
        ids = [dict(record.headers)["ce_id"] for record in records]
        assert len(set(ids)) == len(decisions) == 2
        assert ids[:2] == ids[2:]
        assert {dict(record.headers)["ce_type"] for record in records} == {b"modstream.image.shadow.v1"}
        assert {record.key for record in records} == {b"\xffkey"}

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
        assert outcome_id(VERDICT_V1, self.at(**place)) != outcome_id(VERDICT_V1, self.at(**other))

    @staticmethod
    def at(**place: Any) -> SourceRecord:
        """Return an empty record at a place."""
        return SourceRecord(**place, key=None, value=None, headers=())

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
