"""`modstream finetune reviews`: what review tools published becomes a file that can be prepared."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from schemas.example_files import read_examples
from schemas.registry import REVIEW_DECIDED_V1
from schemas.review_decided import ReviewDecidedV1
from service.cli.commands import app
from service.events.review_codec import encode_review
from service.tools.evaluation.datasets.image_store import ImageStore
from service.tools.finetuning.review_rows import BadRow, is_reviews, review_rows
from testing.kafka import KafkaBroker
from testing.topics import create_topics, publish

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

Record = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]


def run(broker: KafkaBroker, *arguments: str) -> Result:
    environment = {"MODSTREAM_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap_servers, "COLUMNS": "200"}
    return CliRunner().invoke(app, ["finetune", "reviews", *arguments], env=environment)


def test_reviews_of_the_topic_become_a_file_and_others_are_counted(kafka: KafkaBroker, tmp_path: Path) -> None:
    topic, examples = f"reviews-{uuid4().hex[:8]}", [*read_examples(REVIEW_DECIDED_V1).values()]
    reviews = [ReviewDecidedV1.model_validate(example) for example in examples]
    sent = [encode_review(each, topic=topic, event_id=each.image_id, source="/coop") for each in reviews]
    records: list[Record] = [(each.key, each.value, [*each.headers]) for each in sent]
    # As a tool without CloudEvents would write it, a tombstone, and what is no review.
    records += [(None, json.dumps(examples[0]).encode(), []), (b"42", None, []), (None, b'{"image_id": "42"}', [])]
    asyncio.run(create_topics(kafka.bootstrap_servers, [topic], partitions=2))
    asyncio.run(publish(kafka.bootstrap_servers, topic, records))
    file = tmp_path / "reviews.jsonl"
    result = run(kafka, "--topic", topic, "--out", str(file))
    assert result.exit_code == 0, result.stderr
    assert "3 reviews" in result.stdout
    for reason in ("event.empty", "event.invalid"):
        assert f"1 records are no reviews and are skipped: {reason}" in result.stderr
    assert is_reviews(file)
    rows = [*review_rows(file, ImageStore(tmp_path))]
    assert not [row for row in rows if isinstance(row, BadRow)]
    read = [row.review.model_dump_json() for row in rows if not isinstance(row, BadRow)]
    assert sorted(read) == sorted(each.model_dump_json() for each in (*reviews, reviews[0]))


def test_a_topic_that_is_missing_leaves_the_file_as_it_was(kafka: KafkaBroker, tmp_path: Path) -> None:
    file = tmp_path / "reviews.jsonl"
    file.write_text("before")
    result = run(kafka, "--topic", "no-such-topic", "--out", str(file))
    assert result.exit_code == 1
    assert "no-such-topic" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.jsonl"]
    assert file.read_text() == "before"
