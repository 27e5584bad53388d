from pathlib import Path

import pytest

from schemas.base import now_utc
from schemas.image_uploaded import ImageInlineV1, ImageUploadedV1
from service.app import moderation_alone, run_service
from service.engine_settings import EngineSettings, OnnxSettings
from service.kafka_settings import DEFAULT_MAX_EVENT_BYTES
from service.media.errors import UnsupportedFormatError
from service.monitoring_settings import MonitoringSettings
from service.pipeline.handler import Job
from service.policy.errors import UnknownCategoriesError
from service.settings import Settings
from service.stream.codec import encode_upload
from service.stream.records import SourceRecord
from service.telemetry.record_trace import RecordTrace
from tests.support.resources import NotedResources
from tests.unit.inference.onnx.models import entry, write_catalogue, write_mean_model


async def test_an_engine_that_scores_unknown_categories_does_not_serve(tmp_path: Path) -> None:
    categories = {"weapon": {"classes": {0: "red"}, "why": "a typing mistake"}}
    model = write_mean_model(tmp_path / "means.onnx")
    catalogue = write_catalogue(tmp_path, entry(model, categories=categories))
    settings = Settings(
        engine=EngineSettings(onnx=OnnxSettings(classifiers=catalogue)), monitoring=MonitoringSettings(port=0)
    )
    with pytest.raises(UnknownCategoriesError, match=r"The engine onnx \(means\) names unknown categories: weapon;"):
        await run_service(settings)


async def test_without_kafka_a_file_may_be_larger_than_an_event_may() -> None:
    image = ImageInlineV1(inline="A" * 2 * DEFAULT_MAX_EVENT_BYTES, media_type="image/jpeg")
    sent = encode_upload(
        ImageUploadedV1(image_id="42", image=image), topic="t", event_id="1", source="/try", time=now_utc()
    )
    record = SourceRecord(sent.topic, 0, 0, 0, sent.key, sent.value, sent.headers)
    async with moderation_alone(Settings(engine=EngineSettings(kind="rehearsal"))) as moderator:
        with pytest.raises(UnsupportedFormatError):
            await moderator(Job(record, 1, 0.0, NotedResources(), RecordTrace.untraced()))
