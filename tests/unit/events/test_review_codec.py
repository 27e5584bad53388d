"""The codec of reviews reads what it writes, and has a reason for everything else."""

import json

import pytest

from schemas.example_files import read_examples
from schemas.registry import REVIEW_DECIDED_V1
from schemas.review_decided import ReviewDecidedV1
from service.core.errors import RejectedError
from service.core.records import SourceRecord
from service.events.review_codec import MAX_REVIEW_BYTES, decode_review, encode_review
from testing.uploads import BINARY, BY_URL, a_record

EXAMPLE = read_examples(REVIEW_DECIDED_V1)["full"]


def reason_of(record: SourceRecord) -> tuple[str, str]:
    with pytest.raises(RejectedError) as caught:
        decode_review(record)
    return caught.value.reason, str(caught.value)


def test_what_is_written_is_read_again() -> None:
    review = ReviewDecidedV1.model_validate(EXAMPLE)
    sent = encode_review(review, topic="images.reviews", event_id="1", source="/coop")
    record = SourceRecord(sent.topic, 0, 0, 0, sent.key, sent.value, sent.headers)
    assert decode_review(record) == review
    assert sent.key == b"upload-81"
    assert dict(sent.headers)["ce_type"] == b"modstream.image.review_decided.v1"


def test_a_bare_value_is_read() -> None:
    assert decode_review(a_record(EXAMPLE)).reviewer == "reviewer-7"


def test_an_upload_is_no_review() -> None:
    assert reason_of(a_record(BY_URL, BINARY))[0] == "event.unsupported_type"
    assert reason_of(a_record(BY_URL))[0] == "event.invalid"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sha256": "42"}, "sha256: "),
        ({"decisions": {}}, "decisions: "),
        ({"decisions": {"weapons": "perhaps"}}, "decisions.weapons: "),
        ({"decisions": dict.fromkeys(map(str, range(129)), "yes")}, "decisions: "),
        ({"reviewer": ""}, "reviewer: "),
        ({"decided_at": "yesterday"}, "decided_at: "),
        ({"seconds": -1}, "seconds: "),
    ],
)
def test_a_review_that_breaks_the_contract_names_the_field(changed: dict[str, object], said: str) -> None:
    reason, message = reason_of(a_record(EXAMPLE | changed))
    assert reason == "event.invalid"
    assert f"review_decided.v1: {said}" in message


def test_a_review_is_bounded_before_it_is_parsed() -> None:
    long = a_record(EXAMPLE | {"caption": "a" * MAX_REVIEW_BYTES})
    assert "bytes, and at most 262,144 are read" in reason_of(long)[1]
    assert reason_of(SourceRecord("t", 0, 0, 0, None, b"", ())) == ("event.empty", "The record holds no event")
    deep = json.dumps(EXAMPLE).encode()[:-1] + b',"x":' + b"[" * 100_000 + b"}"
    assert reason_of(SourceRecord("t", 0, 0, 0, None, deep, ()))[0] == "event.too_complex"
