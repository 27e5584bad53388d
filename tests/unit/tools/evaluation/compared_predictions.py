"""Predictions for labelled images, for tests of what is computed from them."""

from pathlib import Path

from schemas.example_files import read_examples
from schemas.registry import VERDICT_V1
from schemas.verdict import VerdictV1
from service.tools.evaluation.datasets.dataset import Example
from service.tools.evaluation.quality.predictions import Prediction, PredictionKey

VERDICT = VerdictV1.model_validate(read_examples(VERDICT_V1)["allow"])


def prediction(
    number: int, labels: str, *, status: str = "moderated", sha256: str = "00", weight: float = 1.0, **scores: float
) -> Prediction:
    """Return an image with its labels, separated by spaces, and what an engine scored."""
    example = Example(
        image_id=f"{number}.jpg",
        place="labels.csv:2",
        location=Path(f"{number}.jpg"),
        categories=frozenset(labels.split()),
        weight=weight,
    )
    verdict = VERDICT.model_copy(update={"scores": scores, "status": status})
    return Prediction(example, key=PredictionKey(sha256, "onnx", None, None, ("moderation",)), verdict=verdict)
