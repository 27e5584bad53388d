import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from schemas.base import now_utc
from schemas.image_uploaded import ImageInlineV1
from service.client.offline import OfflineRun, judge_all
from service.client.upload_events import Upload, UploadOptions
from service.core.errors import EngineDeadError, UnexpectedError
from service.core.records import OutgoingRecord
from service.delivery.handler import Job
from service.events.codec import decode_upload
from service.inference.errors import EngineRejectedError
from service.settings.delivery import TopicSettings

TOPICS = TopicSettings()
OPTIONS = UploadOptions(caption="two for one")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"pixels")
    return path


class Recorder:
    """Keeps the events that it is asked about, and fails for the given images.

    It answers no request before the expected number of requests has arrived.
    """

    def __init__(self, failures: Mapping[str, Exception] | None = None, *, awaits: int = 0) -> None:
        self.events: list[tuple[str, object, str | None]] = []
        self.most_at_once = 0
        self._at_once = 0
        self._failures = failures or {}
        self._awaits = awaits
        self._crowd = asyncio.Event()

    async def __call__(self, job: Job, /) -> tuple[OutgoingRecord, ...]:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        if self.most_at_once >= self._awaits:
            self._crowd.set()
        await self._crowd.wait()
        await asyncio.sleep(0)
        self._at_once -= 1
        event = decode_upload(job.record).event
        self.events.append((event.image_id, event.image, event.caption))
        if failure := self._failures.get(event.image_id):
            raise failure
        return ()


async def tried(handler: Recorder, *uploads: Upload, in_flight: int = 8) -> OfflineRun:
    return await judge_all(handler, uploads, OPTIONS, TOPICS, in_flight=in_flight)


async def test_a_file_is_judged_from_inside_its_event(photo: Path) -> None:
    handler = Recorder()
    await tried(handler, Upload("photo.jpg", photo))
    [(image_id, image, caption)] = handler.events
    assert (image_id, caption) == ("photo.jpg", "two for one")
    assert image == ImageInlineV1(inline="cGl4ZWxz", media_type="image/jpeg")


async def test_what_cannot_be_judged_is_reported_and_does_not_end_the_others(photo: Path) -> None:
    failures = {"bad": EngineRejectedError(detail="no"), "odd": UnexpectedError(kind="ValueError", detail="what")}
    trial = await tried(Recorder(failures), *(Upload(name, photo) for name in ("bad", "good", "odd")))
    dead_letters = [each.dead_letter for each in trial.images]
    assert [dead_letter and dead_letter.reason for dead_letter in dead_letters] == [
        "engine.rejected",
        None,
        "internal.unexpected",
    ]


async def test_a_file_that_cannot_be_read_any_more_does_not_end_the_others(photo: Path) -> None:
    gone = photo.with_name("gone.jpg")
    trial = await tried(Recorder(), Upload("gone", gone), Upload("good", photo))
    dead_letters = [each.dead_letter for each in trial.images]
    assert [dead_letter and dead_letter.reason for dead_letter in dead_letters] == ["fetch.failed", None]
    assert not trial.is_complete


async def test_a_fatal_fault_ends_the_trial_as_itself(photo: Path) -> None:
    with pytest.raises(EngineDeadError):
        await tried(Recorder({"1": EngineDeadError(detail="gone")}), Upload("1", photo), Upload("2", photo))


async def test_no_more_images_are_in_flight_than_allowed(photo: Path) -> None:
    handler = Recorder(awaits=3)
    trial = await tried(handler, *(Upload(str(number), photo) for number in range(20)), in_flight=3)
    assert handler.most_at_once == 3
    assert [each.image_id for each in trial.images] == [str(number) for number in range(20)]


async def test_the_rate_counts_all_images(photo: Path) -> None:
    before = now_utc()
    trial = await tried(Recorder(), *(Upload(str(number), photo) for number in range(4)))
    assert 0 < trial.seconds <= (now_utc() - before).total_seconds() + 0.01
    assert trial.images_per_s == 4 / trial.seconds
