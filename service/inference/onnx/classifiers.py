"""Pure: computes category scores and tags from a classifier's output."""

import numpy as np
from numpy.typing import NDArray

from service.inference.engine import Tag
from service.inference.errors import EngineFailedError
from service.inference.onnx.catalogue import Classifier, TagSource

# Float32 sums of a thousand probabilities stray by less.
ROUNDING = 1e-3

Probabilities = NDArray[np.float32]


def probabilities(classifier: Classifier, output: NDArray[np.float32]) -> Probabilities:
    """Return one probability a class from the model's output for one image, shape (classes,).

    Raises `EngineFailedError` if they are none: a broken model, or logits that the catalogue calls probabilities.
    """
    if classifier.entry.output == "logits":
        exponentials = np.exp(output - output.max())
        output = exponentials / exponentials.sum()
    # Written so that NaN, which no comparison holds for, is caught too.
    if not (output.min() >= 0.0 and output.sum() <= 1.0 + ROUNDING):
        raise EngineFailedError(detail=f"the output of {classifier.entry.name} is no set of probabilities")
    return output


def category_scores(classifier: Classifier, probability: Probabilities) -> dict[str, float]:
    """Return the sum of each category's classes, at most 1."""
    return {
        name: min(1.0, float(probability[list(source.classes)].sum()))
        for name, source in classifier.entry.categories.items()
    }


def tags(source: TagSource, labels: tuple[str, ...], probability: Probabilities) -> tuple[Tag, ...]:
    """Return the likeliest classes above the floor, the most confident first."""
    surest = np.argsort(-probability, kind="stable")[: source.most]
    return tuple(
        Tag(labels[index], float(probability[index])) for index in surest if probability[index] >= source.floor
    )
