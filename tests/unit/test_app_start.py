from importlib.metadata import version
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from schemas.base import now_utc
from schemas.image_uploaded import ImageInlineV1, ImageUploadedV1
from service.app.run import moderation_alone, run_service
from service.core.records import SourceRecord
from service.delivery.handler import Job
from service.events.codec import encode_upload
from service.media.errors import UnsupportedFormatError
from service.policy.errors import PolicySettingsError, UnknownCategoriesError
from service.settings.delivery import TopicSettings
from service.settings.engine import EngineSettings, OnnxSettings
from service.settings.kafka import DEFAULT_MAX_EVENT_BYTES, KafkaSettings
from service.settings.monitoring import MonitoringSettings
from service.settings.settings import PolicySettings, Settings
from service.telemetry.record_trace import RecordTrace
from testing.resources import NotedResources
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


async def test_the_first_line_says_what_the_process_is_about_to_do(tmp_path: Path) -> None:
    kafka = KafkaSettings(group_id="shop", sasl_username="u", sasl_password=SecretStr("s"), ssl_cafile=tmp_path)
    settings = Settings(kafka=kafka, policy=PolicySettings(default="nowhere"), monitoring=MonitoringSettings(port=0))
    with capture_logs() as lines, pytest.raises(PolicySettingsError):
        await run_service(settings)
    started, unused = lines[:2]
    assert started == {
        "event": "service.starting",
        "log_level": "info",
        "version": version("modstream"),
        "topics": TopicSettings().model_dump(),
        "group": "shop",
        "delivery": "exactly_once",
        "engine": "onnx",
        "policy": "nowhere",
    }
    assert (unused["event"], unused["log_level"]) == ("kafka.settings_unused", "warning")
    assert unused["settings"] == ["kafka.sasl_password", "kafka.sasl_username", "kafka.ssl_cafile"]


@pytest.mark.parametrize(
    ("protocol", "unused"),
    [
        ("PLAINTEXT", ["kafka.sasl_password", "kafka.sasl_username", "kafka.ssl_cafile"]),
        ("SSL", ["kafka.sasl_password", "kafka.sasl_username"]),
        ("SASL_PLAINTEXT", ["kafka.ssl_cafile"]),
        ("SASL_SSL", []),
    ],
)
def test_settings_without_effect_under_a_protocol_are_found(protocol: str, unused: list[str]) -> None:
    given = {"security_protocol": protocol, "sasl_username": "u", "sasl_password": "s", "ssl_cafile": "/ca.pem"}
    assert KafkaSettings.model_validate(given).unused() == unused
    assert KafkaSettings.model_validate({"security_protocol": "PLAINTEXT", "sasl_username": None}).unused() == []


async def test_without_kafka_a_file_may_be_larger_than_an_event_may() -> None:
    image = ImageInlineV1(inline="A" * 2 * DEFAULT_MAX_EVENT_BYTES, media_type="image/jpeg")
    sent = encode_upload(
        ImageUploadedV1(image_id="42", image=image), topic="t", event_id="1", source="/try", time=now_utc()
    )
    record = SourceRecord(sent.topic, 0, 0, 0, sent.key, sent.value, sent.headers)
    async with moderation_alone(Settings(engine=EngineSettings(kind="rehearsal"))) as moderator:
        with pytest.raises(UnsupportedFormatError):
            await moderator(Job(record, 1, 0.0, NotedResources(), RecordTrace.untraced()))
