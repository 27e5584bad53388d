"""However many ids, tenants, hosts and faults go through, the number of series stays where it is."""

from collections.abc import Iterator

import numpy as np
import orjson
import structlog

from schemas.image_uploaded import ImageReferenceV1
from service.core.pixels import ImageSpec
from service.core.records import SourceRecord
from service.media.errors import AddressNotAllowedError, FetchFailedError
from service.media.image_memory import Reservation
from service.media.types import DecodedImage, FetchedImage
from service.moderation.engine_client import EngineClient
from service.moderation.moderate import Moderator
from service.moderation.outcomes import VerdictMetrics
from service.policy.loader import load_policies
from service.settings.delivery import DeadLetterSettings, TopicSettings
from service.settings.settings import PolicySettings
from testing.engine import PaintedEngine
from testing.handlers import SETTINGS, committed, running
from testing.memory_stream import TOPIC, MemoryStream
from testing.metrics import Scrape, counting, scraped

RECORDS = 1000
TENANTS = ("shop", "forum")
# Nearly all records fail here, each in its own words.
PATIENT = SETTINGS.model_copy(update={"dead_letter": DeadLetterSettings(max_consecutive=10 * RECORDS, max_ratio=1.0)})


class World:
    """Hosts that fail, hosts that may not be contacted, and images in every colour."""

    async def fetch(self, reference: ImageReferenceV1, memory: Reservation) -> FetchedImage:
        """Do what the host's name says, and name the host."""
        url = str(getattr(reference, "url", ""))
        host = url.removeprefix("https://").partition("/")[0]
        if host.startswith("slow"):
            raise FetchFailedError(detail=f"{host} did not answer")
        if host.startswith("private"):
            raise AddressNotAllowedError(host=host)
        return FetchedImage(url.encode())

    async def decode(self, fetched: FetchedImage, spec: ImageSpec, memory: Reservation) -> DecodedImage:
        """Paint an image by the last character of its name."""
        shade = fetched.data[-1] % 3 * 127
        frame = np.full((8, 8, 3), (shade, 255 - shade, 0), dtype=np.uint8)
        return DecodedImage("0" * 64, 8, 8, len(fetched.data), "image/png", 1, (frame,))


def uploads() -> Iterator[SourceRecord]:
    """Return records that have nothing in common."""
    for number in range(RECORDS):
        host = ("cdn", "slow", "private")[number % 3] + str(number)
        event: dict[str, object] = {
            "image_id": f"image-{number}",
            "image": {"url": f"https://{host}.example.com/{number}.jpg"},
            "tenant": TENANTS[0] if number % 10 == 0 else f"tenant-{number}",
        }
        if number % 7 == 0:
            event["policy"] = f"policy-{number}"
        value = b"no event %d" % number if number % 11 == 0 else orjson.dumps(event)
        yield SourceRecord(TOPIC, number % 4, number, 1_700_000_000_000, b"key-%d" % number, value, ())


def moderator() -> Moderator:
    world = World()
    return Moderator(
        fetcher=world,
        decoder=world,
        engine_client=EngineClient(PaintedEngine(), timeout_s=5.0),
        policies=load_policies(PolicySettings()),
        topics=TopicSettings(),
        counts=VerdictMetrics(TENANTS),
    )


async def scrape_after_everything() -> Scrape:
    stream = MemoryStream(list(uploads()))
    with counting() as metrics, structlog.testing.capture_logs():
        async with running(stream, moderator(), PATIENT):
            await committed(stream, RECORDS, timeout_s=60)
        return scraped(metrics)


async def test_series_do_not_grow_with_what_goes_through() -> None:
    scrape = await scrape_after_everything()
    ours = [series for series in scrape.series if series.name.startswith("modstream")]
    assert scrape.value("modstream_records_total") == RECORDS
    reasons = {series.labels["reason"] for series in scrape.of("modstream_records_total")}
    assert reasons == {"", "event.not_json", "policy.unknown", "fetch.failed", "image.address_not_allowed"}
    tenants = {series.labels["tenant"] for series in scrape.of("modstream_verdicts_total")}
    assert tenants == {"shop", "other"}
    assert len(ours) < 250, "one more label of a known set is fine; a thousand ids are not"
    reported = {value for series in ours for value in series.labels.values()}
    assert [value for value in reported if "-" in value or "example" in value or "10.0" in value] == []
