"""Audits on Apache Kafka: from allowed images to records, into an archive, and back as an estimate."""

import signal
from asyncio import to_thread
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from schemas.audit import AuditV1
from service.settings.settings import Settings
from service.tools.evaluation.archive.run import ArchiveOptions, archive_topics
from service.tools.evaluation.sampling.audits import estimate_misses
from service.tools.evaluation.sampling.stored_misses import read_misses
from service.tools.evaluation.stored.archive_store import FolderStore
from testing.house import House, inline
from testing.kafka import KafkaBroker
from testing.service import running_service
from testing.topics import committed_reader, create_topics, publish
from tests.integration.service.test_service_on_kafka import small_image

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

IMAGES = 25


async def test_allowed_images_are_audited_archived_and_estimated(kafka: KafkaBroker, tmp_path: Path) -> None:
    house, topic = House(kafka), f"audit-{uuid4().hex[:8]}"
    await house.build(partitions=1)
    await create_topics(house.bootstrap_servers, [topic], partitions=1)
    settings = house.settings | {
        "topics": {**house.settings["topics"], "audit": topic},  # type: ignore[dict-item]  # it holds a mapping
        "policy": {"audit_share": 1.0},
    }
    events = [{"image_id": str(number), "image": inline(small_image(number))} for number in range(IMAGES)]
    await publish(house.bootstrap_servers, house.uploads, [(b"k", orjson.dumps(event), []) for event in events])
    with running_service(tmp_path, settings) as service:
        async with committed_reader(house.bootstrap_servers, [topic]) as reader:
            await reader.until(IMAGES)
        service.signal(signal.SIGTERM)
        assert await to_thread(service.wait) == 0, service.log()
    audits = [AuditV1.model_validate_json(record.value) for record in reader.records]
    assert {each.image_id for each in audits} == {str(number) for number in range(IMAGES)}
    assert {(each.live.decision, each.left_out, each.share) for each in audits} == {("allow", None, 1.0)}
    assert {record.key for record in reader.records} == {b"k"}
    assert len({dict(record.headers)["ce_id"] for record in reader.records}) == IMAGES

    place = tmp_path / "archive"
    options = ArchiveOptions(once=True)
    await archive_topics(Settings.model_validate(settings), FolderStore(place), options)
    stored = read_misses(str(place))
    (found,) = estimate_misses(stored.chosen, stored.live, min_audits=IMAGES)
    assert (found.chosen, found.audited, found.allowed, found.represented) == (IMAGES, IMAGES, IMAGES, 1.0)
    assert found.overall is not None
    assert (found.overall.missed.value, found.overall.missed.low) == (0.0, 0.0)
