"""The whole service on Apache Kafka: real processes, real images, the embedded engine where it matters."""

import io
import signal
from collections import Counter
from pathlib import Path

import orjson
import pytest
from PIL import Image

from schemas.registry import IMAGE_UPLOADED_V1
from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from testing.house import House, inline
from testing.kafka import KafkaBroker
from testing.service import ServiceProcess, running_service
from testing.topics import committed_reader, publish
from testing.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

PHOTOGRAPH = Path(__file__).parents[3] / "testing" / "data" / "photographs" / "coffee.png"
EVENTS = 150
# What is stopped in the middle need not see what is on the images.
CHEAP = {"engine": {"kind": "rehearsal"}, "media": {"decode": {"workers": 1}}}
SLOW = CHEAP | {"engine": {"kind": "rehearsal", "rehearsal": {"batch_s": 0.3}}, "window": {"max_records": 16}}


def small_image(number: int) -> bytes:
    """Return an image that no other number has."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (number % 256, number // 256, 99)).save(file, "PNG")
    return file.getvalue()


def cloud_event(image_id: str) -> dict[str, str]:
    return {"specversion": "1.0", "id": image_id, "source": "/tests", "type": IMAGE_UPLOADED_V1.event_type}


async def test_events_in_all_three_forms_end_as_verdicts_tags_and_dead_letters(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    house = House(kafka)
    await house.build()
    photograph = inline(PHOTOGRAPH.read_bytes())
    bare = {"image_id": "bare", "image": photograph, "context": {"listing": "7"}}
    binary = {"image_id": "binary", "image": photograph, "tasks": ["moderation", "tags"]}
    structured = cloud_event("structured") | {"data": {"image_id": "structured", "image": photograph}}
    headers = [(f"ce_{name}", value.encode()) for name, value in cloud_event("binary").items()]
    records = [
        (b"k1", orjson.dumps(bare), []),
        (b"k2", orjson.dumps(binary), [*headers, ("content-type", b"application/json")]),
        (b"k3", orjson.dumps(structured), [("content-type", b"application/cloudevents+json")]),
        (b"k4", b"no event", []),
        (b"k5", orjson.dumps({"image_id": "broken", "image": inline(b"no image")}), []),
    ]
    await publish(house.bootstrap_servers, house.uploads, records)
    with running_service(tmp_path, house.settings):
        async with committed_reader(house.bootstrap_servers, house.outcomes) as reader:
            await reader.until(6)
            await reader.linger()
    verdicts = {record.key: VerdictV1.model_validate_json(record.value) for record in reader.of(house.verdicts)}
    assert {key: verdict.image_id for key, verdict in verdicts.items()} == {
        b"k1": "bare",
        b"k2": "binary",
        b"k3": "structured",
    }
    assert all(verdict.decision == "allow" for verdict in verdicts.values())
    assert verdicts[b"k1"].context == {"listing": "7"}
    (tagged,) = reader.of(house.tags)
    assert TagsV1.model_validate_json(tagged.value).attributes["objects"][0].value == "espresso"
    reasons = {record.key: dict(record.headers)["modstream-reason"] for record in reader.of(house.dead_letters)}
    assert reasons == {b"k4": b"event.not_json", b"k5": b"image.unsupported_format"}


async def publish_many(house: House) -> set[str]:
    ids = {str(number) for number in range(EVENTS)}
    events = [{"image_id": name, "image": inline(small_image(int(name)))} for name in sorted(ids)]
    await publish(house.bootstrap_servers, house.uploads, [(None, orjson.dumps(event), []) for event in events])
    return ids


async def finish(house: House, tmp_path: Path, *, seen: int) -> Counter[str]:
    """Let a fresh process do the rest; return how often each image was judged."""
    assert 0 < seen < EVENTS, "the first process was to be stopped in the middle"
    with running_service(tmp_path, house.settings | CHEAP):
        async with committed_reader(house.bootstrap_servers, [house.verdicts]) as reader:
            await reader.until(EVENTS)
            await reader.linger()
    return Counter(VerdictV1.model_validate_json(record.value).image_id for record in reader.records)


async def run_into_the_middle(house: House, service: ServiceProcess, number: signal.Signals) -> int:
    """Send a signal once the first verdicts are there; return how many were committed in all."""
    async with committed_reader(house.bootstrap_servers, [house.verdicts]) as reader:
        await reader.until(10)
        service.signal(number)
        await wait_until(lambda: not service.is_running(), description="the service ended", timeout_s=40.0)
        await reader.linger()
    return len(reader.records)


async def test_sigterm_in_the_middle_loses_and_doubles_nothing(kafka: KafkaBroker, tmp_path: Path) -> None:
    house = House(kafka)
    await house.build()
    ids = await publish_many(house)
    with running_service(tmp_path, house.settings | SLOW) as service:
        seen = await run_into_the_middle(house, service, signal.SIGTERM)
        assert service.wait() == 0, service.log()
    assert await finish(house, tmp_path, seen=seen) == dict.fromkeys(ids, 1)


async def test_kill_9_in_the_middle_loses_and_doubles_nothing(kafka: KafkaBroker, tmp_path: Path) -> None:
    house = House(kafka)
    await house.build()
    ids = await publish_many(house)
    with running_service(tmp_path, house.settings | SLOW) as service:
        seen = await run_into_the_middle(house, service, signal.SIGKILL)
    assert await finish(house, tmp_path, seen=seen) == dict.fromkeys(ids, 1)
