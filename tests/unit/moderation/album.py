"""Images for tests of the moderator, and jobs about them."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import orjson

from schemas.image_uploaded import ImageReferenceV1
from schemas.verdict import VerdictV1
from service.core.availability import EngineAvailability
from service.core.pixels import ImageSpec, RgbPixels
from service.core.records import OutgoingRecord, SourceRecord
from service.delivery.handler import Job
from service.media.errors import ImageNotFoundError
from service.media.image_memory import ImageMemory, Reservation
from service.media.types import DecodedImage, FetchedImage
from service.moderation.engine_client import EngineClient
from service.moderation.moderate import Moderator
from service.policy.loader import Policies, load_policies
from service.settings.delivery import TopicSettings
from service.settings.settings import PolicySettings
from service.telemetry.record_trace import RecordTrace
from testing.engine import PaintedEngine
from testing.resources import NotedResources

Colour = tuple[int, int, int]
SAFE: Colour = (0, 0, 0)
VIOLENT: Colour = (0, 255, 0)
ARMED: Colour = (0, 0, 255)


class Album:
    """Fetcher and decoder in one: knows images by URL, each a list of one-colour frames."""

    def __init__(self, **images: Sequence[Colour]) -> None:
        self._images = images
        self.decoded = 0

    async def fetch(self, reference: ImageReferenceV1, memory: Reservation) -> FetchedImage:
        """Return the name of the image as its file."""
        name = getattr(reference, "url", "")
        if name not in self._images:
            raise ImageNotFoundError(detail="not in the album")
        return FetchedImage(name.encode())

    async def decode(self, fetched: FetchedImage, spec: ImageSpec, memory: Reservation) -> DecodedImage:
        """Paint the frames."""
        self.decoded += 1
        frames = tuple(_painted(colour) for colour in self._images[fetched.data.decode()])
        return DecodedImage("0" * 64, 8, 8, len(fetched.data), "image/png", len(frames) + 1, frames)


def _painted(colour: Colour) -> RgbPixels:
    return np.full((8, 8, 3), colour, dtype=np.uint8)


def moderator(
    album: Album,
    *,
    engine: PaintedEngine | None = None,
    engine_timeout_s: float = 5.0,
    memory: ImageMemory | None = None,
    availability: EngineAvailability | None = None,
    policies: Policies | None = None,
) -> Moderator:
    return Moderator(
        fetcher=album,
        decoder=album,
        engine_client=EngineClient(engine or PaintedEngine(), timeout_s=engine_timeout_s, availability=availability),
        policies=policies or load_policies(PolicySettings()),
        topics=TopicSettings(),
        memory=memory,
    )


def job(event: Mapping[str, object] | bytes, *, attempt: int = 1) -> Job:
    value = event if isinstance(event, bytes) else orjson.dumps({"image_id": "42", **event})
    record = SourceRecord("images.uploaded", 3, 17, 0, b"key", value, ())
    return Job(record, attempt, time.perf_counter(), NotedResources(), RecordTrace.untraced())


def verdict_of(records: Sequence[OutgoingRecord]) -> VerdictV1:
    (record,) = [record for record in records if record.topic == "images.verdicts"]
    return VerdictV1.model_validate_json(record.value or b"")
