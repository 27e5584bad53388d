"""Examples, pictures and predictions, for tests of what evaluates them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from schemas.tags import AttributeValueV1, TagsV1
from schemas.verdict import VerdictV1
from service.tools.evaluation.datasets.dataset import Dataset, Example
from service.tools.evaluation.datasets.pictures import Picture
from service.tools.evaluation.quality.predictions import Prediction, PredictionKey, Timing
from tests.unit.tools.demo.messages import tags
from tests.unit.tools.evaluation.stored import a_verdict


def example(image_id: str, *categories: str, **fields: Any) -> Example:
    given: dict[str, Any] = {"place": f"labels.csv, {image_id}", "location": Path(f"/images/{image_id}")} | fields
    return Example(image_id, categories=frozenset(categories), **given)


def picture(of: Example, pixels: str) -> Picture:
    return Picture(of, Path("/images"), sha256=pixels, pixels=pixels)


def dataset(*examples: Example) -> Dataset:
    return Dataset("labels.csv", examples)


def key(sha256: str = "ab" * 32, engine: str = "engine") -> PredictionKey:
    return PredictionKey(sha256, engine, "prompt", None, ("moderation",))


def verdict(scores: Mapping[str, float], **fields: Any) -> VerdictV1:
    no_frames: dict[str, Any] = {"frames": (), "uncalibrated": None, "asked": (), "hints": ()}
    return VerdictV1.model_validate(a_verdict(scores=dict(scores), **no_frames, **fields))


def seen(values: Mapping[str, Iterable[str]]) -> TagsV1:
    return tags("1").model_copy(
        update={
            "attributes": {
                name: tuple(AttributeValueV1(value=each, confidence=1.0) for each in of) for name, of in values.items()
            }
        }
    )


def prediction(of: Example, scores: Mapping[str, float] | None = None, **fields: Any) -> Prediction:
    """Make a prediction; without scores the image could not be judged."""
    if scores is None:
        return Prediction(of, failure="image.corrupt", detail="the file is broken")
    given: dict[str, Any] = {"path": Path("/images"), "key": key(), "timing": Timing("run", 1.0)} | fields
    return Prediction(of, verdict=verdict(scores), **given)
