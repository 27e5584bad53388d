"""The service calibrates scores by the file of its settings, and does not start with one of another engine."""

import base64
import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from schemas.base import now_utc
from schemas.image_uploaded import ImageInlineV1, ImageUploadedV1
from schemas.verdict import VerdictV1
from service.app.run import moderation_alone
from service.core.records import SourceRecord
from service.delivery.handler import Job
from service.events.codec import encode_upload
from service.policy.errors import CalibrationFileError, CalibrationMismatchError
from service.settings.engine import EngineSettings, OnnxSettings
from service.settings.settings import PolicySettings, Settings
from service.telemetry.record_trace import RecordTrace
from testing.resources import NotedResources
from tests.unit.inference.onnx.models import entry, write_catalogue, write_mean_model

EVIDENCE = {"positives": 40, "negatives": 90, "ece_before": 0.2, "ece_after": 0.02}
KNOTS = [[0.0, 0.0], [1.0, 0.25]]
REDNESS = 0.8


def red_picture() -> ImageInlineV1:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (round(255 * REDNESS), 0, 0)).save(file, "PNG")
    return ImageInlineV1(inline=base64.b64encode(file.getvalue()).decode(), media_type="image/png")


async def verdict_by(settings: Settings) -> VerdictV1:
    event = ImageUploadedV1(image_id="42", image=red_picture())
    sent = encode_upload(event, topic="t", event_id="1", source="/try", time=now_utc())
    record = SourceRecord(sent.topic, 0, 0, 0, sent.key, sent.value, sent.headers)
    async with moderation_alone(settings) as moderator:
        (answer,) = await moderator(Job(record, 1, 0.0, NotedResources(), RecordTrace.untraced()))
    return VerdictV1.model_validate_json(answer.value or b"")


def settings_with(folder: Path, calibration: Path | None) -> Settings:
    """Return settings of an engine whose score for violence is the mean of red."""
    model = write_mean_model(folder / "means.onnx")
    catalogue = write_catalogue(folder, entry(model, output="probabilities"))
    engine = EngineSettings(onnx=OnnxSettings(classifiers=catalogue, threads=1))
    return Settings(engine=engine, policy=PolicySettings(calibration=calibration))


def calibration_of(verdict: VerdictV1, folder: Path, **changes: Any) -> Path:
    """Write a calibration for the engine of a verdict."""
    scored_by = {
        "engine": verdict.engine,
        "model": verdict.model.name,
        "revision": verdict.model.revision,
        "adapter": verdict.model.adapter,
        "precision": verdict.model.precision,
        "prompt_hash": verdict.prompt_hash,
        "label_source": verdict.label_source,
        "scoring": verdict.calibration,
        "preprocessing": verdict.preprocessing,
    }
    maps = {"violence": {"classifier": {"method": "isotonic", "knots": KNOTS, **EVIDENCE}}}
    document = {
        "format": "modstream-calibration/1",
        "name": "shop",
        "version": "3",
        "fitted_at": "2026-11-29T10:00:00Z",
        "fitted_on": {"dataset": "photos", "images": 130, "sha256": "0" * 64},
        "engines": [{**scored_by, "categories": maps, **changes}],
    }
    path = folder / "calibration.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


async def test_a_verdict_holds_both_scores_and_names_the_file(tmp_path: Path) -> None:
    before = await verdict_by(settings_with(tmp_path, None))
    assert before.scores["violence"] == pytest.approx(REDNESS)
    assert (before.decision, before.uncalibrated, before.calibration_file) == ("review", None, None)
    after = await verdict_by(settings_with(tmp_path, calibration_of(before, tmp_path)))
    assert after.scores["violence"] == pytest.approx(REDNESS / 4)
    assert after.uncalibrated == before.scores
    assert after.decision == "allow"
    assert after.calibration_file is not None
    assert after.calibration_file.startswith("shop/3 sha256:")


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"revision": "older"}, "and 'older' in the nearest entry"),
        ({"prompt_hash": "11"}, "prompt_hash is None, and '11' in the nearest entry"),
        (
            {"categories": {"weapons": {"classifier": {"method": "temperature", "temperature": 2.0, **EVIDENCE}}}},
            "viol",
        ),
    ],
)
async def test_a_file_of_another_engine_keeps_the_service_from_starting(
    tmp_path: Path, changes: dict[str, Any], detail: str
) -> None:
    before = await verdict_by(settings_with(tmp_path, None))
    with pytest.raises(CalibrationMismatchError, match=detail):
        await verdict_by(settings_with(tmp_path, calibration_of(before, tmp_path, **changes)))


async def test_a_broken_file_keeps_the_service_from_starting(tmp_path: Path) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_text("format: modstream-calibration/1\nname: [\n")
    with pytest.raises(CalibrationFileError, match=r"calibration\.yaml, line 3: this is not YAML.*policy\.calibration"):
        await verdict_by(settings_with(tmp_path, path))
