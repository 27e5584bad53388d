"""An evaluation of the tiny Qwen3-VL, whose accuracy is known, in the real vLLM."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from service.policy.loader import load_policies
from service.settings.engine import EngineSettings
from service.settings.openai import OpenAISettings
from service.settings.settings import Settings
from service.tools.demo.tiny_model import with_tiny_model
from service.tools.evaluation.datasets.dataset import Dataset, DatasetOptions
from service.tools.evaluation.datasets.image_store import ImageStore
from service.tools.evaluation.datasets.reading import read_dataset
from service.tools.evaluation.quality.evaluation import Evaluation, Question, evaluate
from service.tools.evaluation.quality.predictions import Prediction
from service.tools.evaluation.quality.run import RunOptions, run_engine
from testing.tiny_model.dataset import write_dataset
from testing.tiny_model.shapes import HARMFUL
from testing.vllm_server import VllmServer

pytestmark = pytest.mark.engine

IMAGES = 60

# testing/tiny_model/README.md, measured on 300 held-out images, of tags on 100.
KNOWN_CATEGORY_ACCURACY = 0.997
KNOWN_TAGS = {"background": 1.0, "shapes": 0.94, "colours": 1.0, "slogan": 0.77}


@contextmanager
def no_progress(step: str, images: int) -> Iterator[Callable[[], None]]:
    yield lambda: None


def held_out(folder: Path) -> Dataset:
    """Write held-out pictures with their labels, and read them as a dataset."""
    write_dataset(folder, IMAGES)
    return read_dataset(folder, DatasetOptions(frozenset(HARMFUL)), ImageStore(folder / "images"))


@pytest.fixture(scope="module")
def settings(tiny_server: VllmServer) -> Settings:
    """Return those of `--engine tiny`, but for the engine: the server that these tests share has the same model."""
    engine = EngineSettings(kind="openai", openai=OpenAISettings(base_urls=(tiny_server.url,)))
    return with_tiny_model(Settings()).model_copy(update={"engine": engine})


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Sequence[Prediction]:
    folder = tmp_path_factory.mktemp("held-out")
    options = RunOptions(folder / "predictions.jsonl", folder / "images")
    return asyncio.run(run_engine(settings, held_out(folder), options, no_progress)).predictions


def evaluated(settings: Settings, predictions: Sequence[Prediction]) -> Evaluation:
    policies = load_policies(settings.policy)
    examples = [each.example for each in predictions]
    question = Question(Dataset("held-out", examples), "vllm tiny", policies.default, lambda _: policies.default)
    return evaluate(question, predictions)


def test_its_known_accuracy_lies_in_the_intervals(settings: Settings, predictions: Sequence[Prediction]) -> None:
    found = evaluated(settings, predictions)
    assert (found.images, found.moderated, dict(found.failures)) == (IMAGES, IMAGES, {})
    exact = found.all_images["exact_match"]
    assert exact.low is not None
    assert exact.high is not None
    assert exact.low <= KNOWN_CATEGORY_ACCURACY <= exact.high
    assert exact.low > 0.85
    for name, known in KNOWN_TAGS.items():
        figure = found.tags[name].figures["exact"]
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low <= known <= figure.high, name
    assert {name: report.metrics.figures["recall"].value for name, report in found.categories.items()} == {
        name: pytest.approx(1.0, abs=0.2) for name in HARMFUL
    }
    assert found.seconds_an_image is not None


def test_a_model_with_shuffled_labels_is_found_bad(settings: Settings, predictions: Sequence[Prediction]) -> None:
    others = [*predictions[1:], predictions[0]]
    shuffled = [
        replace(each, verdict=other.verdict, tags=other.tags) for each, other in zip(predictions, others, strict=True)
    ]
    found = evaluated(settings, shuffled)
    exact = found.all_images["exact_match"]
    assert exact.high is not None
    assert exact.high < KNOWN_CATEGORY_ACCURACY
    assert exact.high < 0.5
    for report in found.categories.values():
        auc = report.metrics.figures["roc_auc"]
        assert auc.low is not None
        assert auc.low < 0.6
    colours = found.tags["colours"].figures["exact"].value
    assert colours is not None
    assert colours < 0.5
