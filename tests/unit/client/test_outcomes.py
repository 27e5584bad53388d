import json

import pytest

from service.client.outcomes import DeadLetter, Outcome, as_json, outcome_of
from service.core.records import Headers, SourceRecord
from service.settings.delivery import TopicSettings
from tests.unit.tools.demo.messages import tags, verdict

TOPICS = TopicSettings()


def record(topic: str, value: bytes = b"", headers: Headers = ()) -> SourceRecord:
    return SourceRecord(topic, 0, 7, 1_700_000_000_000, b"cat.jpg", value, headers)


@pytest.mark.parametrize(("topic", "outcome"), [(TOPICS.verdicts, verdict("a")), (TOPICS.tags, tags("a"))])
def test_verdicts_and_tags_are_read_from_their_topics(topic: str, outcome: Outcome) -> None:
    assert not isinstance(outcome, DeadLetter)
    assert outcome_of(record(topic, outcome.model_dump_json().encode()), TOPICS) == outcome


def test_a_dead_letter_is_read_from_the_headers_that_come_last() -> None:
    headers = (
        ("modstream-reason", b"forged.by_the_sender"),
        ("modstream-reason", b"image.corrupt"),
        ("modstream-message", "Größe".encode()),
        ("modstream-attempt", b"4"),
    )
    letter = outcome_of(record(TOPICS.dead_letters, b"\xff", headers), TOPICS)
    assert letter == DeadLetter("cat.jpg", "image.corrupt", "Größe", 4)


def test_what_is_no_verdict_is_passed_over() -> None:
    assert outcome_of(record(TOPICS.verdicts, b"{}"), TOPICS) is None


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [(verdict("a"), "verdict"), (tags("a"), "tags"), (DeadLetter("a", "x", "y", 1), "dead_letter")],
)
def test_every_outcome_is_plain_json_with_its_place(outcome: Outcome, kind: str) -> None:
    document = json.loads(json.dumps(as_json(record(TOPICS.verdicts), outcome)))
    assert (document["kind"], document["offset"]) == (kind, 7)
