"""Upload events are found again at the places that verdicts name."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from service.settings.delivery import TopicSettings
from service.settings.kafka import KafkaSettings
from service.settings.settings import Settings
from service.tools.evaluation.images import upload_events
from service.tools.evaluation.images.image_references import ImageSought, references_of_topic
from service.tools.evaluation.images.upload_events import Place, upload_records
from testing.tansu import running_tansu
from testing.topics import create_topics, publish


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with running_tansu() as address:
        yield address


async def with_uploads(broker: str, *values: bytes) -> Settings:
    topic = f"uploads-{uuid4().hex[:8]}"
    await create_topics(broker, [topic], partitions=1)
    for value in values:  # one by one: the embedded broker counts a batch as one offset
        await publish(broker, topic, [(b"key", value, [])])
    return Settings(kafka=KafkaSettings(bootstrap_servers=broker), topics=TopicSettings(uploads=topic))


async def test_records_near_and_far_are_read_and_those_that_are_gone_are_missing(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_events, "_NEAR", 3)
    settings = await with_uploads(broker, *(str(number).encode() for number in range(12)))
    topic = settings.topics.uploads
    wanted = [Place(topic, 0, offset) for offset in (0, 3, 11, 5000)]

    found = await upload_records(settings, [*wanted, Place(topic, 7, 0), Place("another", 0, 1)])

    assert {place.offset: record.value for place, record in found.items()} == {0: b"0", 3: b"3", 11: b"11"}


async def test_references_are_those_of_the_events_that_are_about_the_images(broker: str) -> None:
    event = b'{"image_id": "a", "tenant": "shop", "image": {"url": "https://example.org/a.jpg"}}'
    settings = await with_uploads(broker, event, b"no event", event)
    topic = settings.topics.uploads
    sought = [
        ImageSought("a", "shop", "", Place(topic, 0, 0)),
        ImageSought("b", "shop", "", Place(topic, 0, 1)),
        ImageSought("another image since the topic was made anew", "shop", "", Place(topic, 0, 2)),
    ]

    found = await references_of_topic(settings, sought)

    assert {image.image_id: reference.model_dump() for image, reference in found.items()} == {
        "a": {"url": "https://example.org/a.jpg"}
    }
