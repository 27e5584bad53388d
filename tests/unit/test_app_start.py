from pathlib import Path

import pytest

from service.app import run_service
from service.engine_settings import EngineSettings, OnnxSettings
from service.monitoring_settings import MonitoringSettings
from service.policy.errors import UnknownCategoriesError
from service.settings import Settings
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
