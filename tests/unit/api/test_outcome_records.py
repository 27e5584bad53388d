import json

import pytest

from schemas.example_files import read_examples
from schemas.registry import TAGS_V1, VERDICT_V1
from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.api.judging.outcome_records import keep_records
from service.api.judging.stored_outcomes import StoredOutcomes
from service.core.records import Headers, OutgoingRecord, SourceRecord
from service.events.codec import encode_tags, encode_verdict
from service.settings.delivery import TopicSettings
from testing.uploads import BY_URL, STRUCTURED, STRUCTURED_HEADERS, a_record

TOPICS = TopicSettings()
VERDICT = VerdictV1.model_validate(next(iter(read_examples(VERDICT_V1).values())))
TAGS = TagsV1.model_validate(next(iter(read_examples(TAGS_V1).values())))
REASON: Headers = (("modstream-reason", b"image.corrupt"), ("modstream-message", b"It is no image"))


@pytest.fixture
def store() -> StoredOutcomes:
    return StoredOutcomes(100, 1_000_000)


def published(record: OutgoingRecord) -> SourceRecord:
    return SourceRecord(record.topic, 0, 7, 0, record.key, record.value, record.headers)


def dead_letter(value: object, headers: Headers = REASON) -> SourceRecord:
    return a_record(value, headers)._replace(topic=TOPICS.dead_letters)


def test_verdicts_and_tags_are_kept_by_their_images(store: StoredOutcomes) -> None:
    verdict = encode_verdict(VERDICT.model_copy(update={"image_id": "ä/7"}), topic=TOPICS.verdicts, source=a_record({}))
    tags = encode_tags(TAGS.model_copy(update={"image_id": "ä/7"}), topic=TOPICS.tags, source=a_record({}))
    keep_records(store, [published(verdict), published(tags)], TOPICS)
    found = store.find("ä/7", VERDICT.tenant)
    assert found is not None
    assert found.verdict is not None
    assert (found.tags is not None) == (TAGS.tenant == VERDICT.tenant)


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (BY_URL | {"tenant": "shop"}, ()),
        (STRUCTURED | {"data": BY_URL | {"tenant": "shop"}}, STRUCTURED_HEADERS),
        (BY_URL | {"tenant": "shop", "image_id": "of the event"}, (("ce_subject", b"42"),)),
    ],
)
def test_a_dead_letter_is_kept_with_its_reason_for_its_tenant(
    store: StoredOutcomes, value: object, headers: Headers
) -> None:
    keep_records(store, [dead_letter(value, (*headers, *REASON))], TOPICS)
    found = store.find("42", "shop")
    assert found is not None
    assert found.error is not None
    assert (found.error.code, found.error.message) == ("image.corrupt", "It is no image")
    assert store.find("42", "default") is None


@pytest.mark.parametrize("value", [b"no event", b"[]", None, json.dumps({"tenant": "shop"}).encode()])
def test_a_dead_letter_of_no_image_is_left_out(store: StoredOutcomes, value: object) -> None:
    keep_records(store, [dead_letter(value)], TOPICS)
    assert len(store) == 0


def test_what_is_no_outcome_is_left_out(store: StoredOutcomes) -> None:
    keep_records(store, [a_record(b"x")._replace(topic=TOPICS.verdicts), dead_letter(BY_URL, ())], TOPICS)
    assert len(store) == 0
