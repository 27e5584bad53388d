import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.core.pixels import RgbPixels
from service.inference.errors import EngineConfigurationError, EngineFailedError, EngineNotRunningError
from service.inference.onnx.catalogue import load_catalogue
from service.inference.onnx.engine import OnnxEngine
from testing.asking import INSTRUCTIONS, engine_request
from tests.unit.inference.onnx.models import SIDE, entry, write_catalogue, write_mean_model

PHOTOGRAPHS = Path(__file__).parents[4] / "testing" / "data" / "photographs"

RED = np.full((SIDE, SIDE, 3), (255, 0, 0), np.uint8)
WHITE = np.full((SIDE, SIDE, 3), 255, np.uint8)


def photograph(name: str) -> RgbPixels:
    with Image.open(PHOTOGRAPHS / f"{name}.png") as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture
async def bundled() -> AsyncIterator[OnnxEngine]:
    engine = OnnxEngine(load_catalogue(None), threads=1)
    await engine.start()
    yield engine
    await engine.stop()


def own_engine(folder: Path, model: Mapping[str, Any], **options: bool) -> OnnxEngine:
    path = write_mean_model(folder / "means.onnx", **options)  # type: ignore[arg-type] # flags of the model, by name
    return OnnxEngine(load_catalogue(write_catalogue(folder, entry(path, **model))), threads=1)


# What the models' authors' own preprocessing and a float runtime give for these photographs.
@pytest.mark.parametrize(
    ("name", "objects"),
    [
        ("chelsea", {"tiger cat": 0.408, "Egyptian cat": 0.340}),
        ("coffee", {"espresso": 0.951}),
    ],
)
async def test_photographs_show_what_was_measured(bundled: OnnxEngine, name: str, objects: dict[str, float]) -> None:
    output = await bundled.judge(engine_request(photograph(name), wants_tags=True))
    assert {tag.value: tag.confidence for tag in output.tags["objects"]} == pytest.approx(objects, abs=0.001)


@pytest.mark.parametrize(("name", "explicit", "at_least_nude"), [("chelsea", 0.015, 0.017), ("coffee", 0.0, 0.0)])
async def test_harmless_photographs_score_as_measured(
    bundled: OnnxEngine, name: str, explicit: float, at_least_nude: float
) -> None:
    scores = (await bundled.judge(engine_request(photograph(name)))).scores or {}
    assert scores["sexual_explicit"] == pytest.approx(explicit, abs=0.0015)
    assert scores["nudity_nonexplicit"] == pytest.approx(at_least_nude, abs=0.0015)
    assert max(scores[name] for name in bundled.describe(INSTRUCTIONS).hints) < 0.06


async def test_a_classifier_of_ones_own_judges_by_its_catalogue(tmp_path: Path) -> None:
    engine = own_engine(tmp_path, {})
    await engine.start()
    scores = (await engine.judge(engine_request(RED))).scores or {}
    await engine.stop()
    # The softmax of (1, 0, 0).
    assert dict(scores) == pytest.approx({"violence": 0.576}, abs=0.001)
    assert engine.describe(INSTRUCTIONS).model_name == "means"
    assert engine.describe(INSTRUCTIONS).attribute_schema is None


async def test_a_failure_on_one_image_leaves_the_engine_running(tmp_path: Path) -> None:
    engine = own_engine(tmp_path, {"output": "probabilities"}, breaks_on_bright=True)
    await engine.start()
    with pytest.raises(EngineFailedError, match="no set of probabilities"):
        await engine.judge(engine_request(WHITE))
    assert (await engine.judge(engine_request(WHITE // 4))).scores
    await engine.stop()


@pytest.mark.parametrize(
    ("model", "options", "detail"),
    [
        ({"labels": ["red", "green"]}, {}, r"its output has shape \(3,\), but there are 2 labels"),
        ({"preprocessing": {"side": 9, "resampling": "bilinear", "layout": "nchw"}}, {}, "means: .*Got: 9 Expected: 8"),
        ({"preprocessing": {"side": 8, "resampling": "bilinear"}}, {}, "means: .*invalid dimensions"),
        ({}, {"inputs": 2}, "it takes image, mask, but one image is all there is"),
        (
            {"output": "probabilities", "preprocessing": {"side": 8, "resampling": "bilinear", "range": [1, 2]}},
            {"layout": "nhwc"},
            "the output of means is no set of probabilities",
        ),
    ],
)
async def test_a_model_that_is_not_as_described_does_not_start(
    tmp_path: Path, model: dict[str, Any], options: dict[str, Any], detail: str
) -> None:
    engine = own_engine(tmp_path, model, **options)
    with pytest.raises(EngineConfigurationError, match=detail) as caught:
        await engine.start()
    assert caught.value.facts["setting"] == "engine.onnx.classifiers"


async def test_a_file_that_is_no_model_does_not_start(tmp_path: Path) -> None:
    path = tmp_path / "means.onnx"
    path.write_bytes(b"no model")
    engine = OnnxEngine(load_catalogue(write_catalogue(tmp_path, entry(path))), threads=1)
    with pytest.raises(EngineConfigurationError, match="means: "):
        await engine.start()


async def test_an_exchanged_model_file_does_not_start(tmp_path: Path) -> None:
    engine = own_engine(tmp_path, {})
    (tmp_path / "means.onnx").write_bytes(b"another")
    with pytest.raises(EngineConfigurationError, match=r"means\.onnx is not the model means"):
        await engine.start()


async def test_nothing_is_judged_before_the_start_or_after_the_stop(tmp_path: Path) -> None:
    engine = own_engine(tmp_path, {})
    with pytest.raises(EngineNotRunningError):
        await engine.judge(engine_request(RED))
    await engine.start()
    await engine.stop()
    with pytest.raises(EngineNotRunningError):
        await engine.judge(engine_request(RED))


async def test_requests_that_wait_when_the_engine_stops_get_an_error(bundled: OnnxEngine) -> None:
    tasks = [asyncio.create_task(bundled.judge(engine_request(photograph("coffee"))), name="waits") for _ in range(50)]
    await asyncio.sleep(0)
    await bundled.stop()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(ends[-1], EngineNotRunningError)


async def test_images_are_judged_side_by_side_on_threads_of_its_own() -> None:
    engine = OnnxEngine(load_catalogue(None), threads=3)
    assert engine.describe(INSTRUCTIONS).concurrency == 6
    assert OnnxEngine(load_catalogue(None), threads=0).describe(INSTRUCTIONS).concurrency >= 2
