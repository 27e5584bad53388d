"""The programs that the uploader's and the consumer's pages show do what they say, on Apache Kafka."""

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.example_files import read_examples
from schemas.registry import VERDICT_V1
from schemas.verdict import VerdictV1
from service.core.records import SourceRecord
from service.events.codec import decode_upload, encode_verdict
from service.settings.kafka import KafkaSettings
from testing.kafka import running_kafka

DOCS = Path(__file__).parents[3] / "docs"
SOURCE = SourceRecord("images.uploaded", 0, 7, 1_772_366_400_000, b"42", None, ())

FRESH = 'import sys; sys.modules["cramjam"] = None\n'
"""As where aiokafka was installed without the extras for compression."""

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """Start Kafka and return its address."""
    with running_kafka() as kafka:
        yield kafka.bootstrap_servers


async def start_program(page: str, broker: str) -> asyncio.subprocess.Process:
    """Start the one Python program that a page shows."""
    (program,) = re.findall(
        r"^```python\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert "localhost:9092" in program
    return await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-c", FRESH + program.replace("localhost:9092", broker), stdout=asyncio.subprocess.PIPE
    )


async def create_topic(broker: str, name: str) -> None:
    """Create a topic of one partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1)])
    finally:
        await admin.close()


async def test_the_uploaders_program_publishes_an_upload(broker: str) -> None:
    await create_topic(broker, "images.uploaded")
    program = await start_program("uploader.md", broker)
    assert await program.wait() == 0
    consumer = AIOKafkaConsumer("images.uploaded", bootstrap_servers=broker, auto_offset_reset="earliest")
    await consumer.start()
    try:
        record = await asyncio.wait_for(consumer.getone(), 30)
    finally:
        await consumer.stop()
    upload = decode_upload(SourceRecord("t", 0, 0, 0, record.key, record.value, tuple(record.headers)))
    assert record.key == b"42"
    assert upload.event.tasks == ("moderation", "tags")
    assert upload.envelope is not None
    assert upload.envelope.source == "/shop/uploads"


async def test_the_consumers_program_reads_what_was_committed(broker: str) -> None:
    await create_topic(broker, "images.verdicts")
    verdict = VerdictV1.model_validate(read_examples(VERDICT_V1)["review"])
    outgoing = encode_verdict(verdict, topic="images.verdicts", source=SOURCE)
    producer = AIOKafkaProducer(
        bootstrap_servers=broker, transactional_id="documents", compression_type=KafkaSettings().compression
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        await producer.send_and_wait("images.verdicts", json.dumps({"image_id": "aborted"}).encode())
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(outgoing.topic, outgoing.value, outgoing.key, headers=list(outgoing.headers))
    finally:
        await producer.stop()
    program = await start_program("consumer.md", broker)
    try:
        assert program.stdout is not None
        line = await asyncio.wait_for(program.stdout.readline(), 60)
    finally:
        program.terminate()
        await program.wait()
    assert line.decode().split() == [dict(outgoing.headers)["ce_id"].decode(), "43", "review"]
