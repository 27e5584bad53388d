from pathlib import Path

import numpy as np
import pytest

from service.inference.engine import Tag
from service.inference.errors import EngineFailedError
from service.inference.onnx.catalogue import Classifier, ClassifierEntry, TagSource
from service.inference.onnx.classifiers import category_scores, probabilities, tags

LABELS = ("red", "green", "blue")


def classifier(output: str = "probabilities") -> Classifier:
    entry = ClassifierEntry.model_validate(
        {
            "name": "colours",
            "file": "colours.onnx",
            "sha256": "0" * 64,
            "licence": "CC0",
            "source": "this test",
            "labels": LABELS,
            "output": output,
            "preprocessing": {"side": 8, "resampling": "bilinear"},
            "categories": {
                "violence": {"classes": {0: "red"}, "why": "blood"},
                "weapons": {"classes": {0: "red", 2: "blue"}, "why": "steel"},
            },
        }
    )
    return Classifier(entry, LABELS, Path("colours.onnx"))


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_a_category_is_the_sum_of_its_classes() -> None:
    assert category_scores(classifier(), floats(0.25, 0.5, 0.25)) == {"violence": 0.25, "weapons": 0.5}


def test_rounding_lifts_no_sum_over_one() -> None:
    assert category_scores(classifier(), floats(0.5000001, 0.0, 0.5000001))["weapons"] == 1.0


def test_logits_go_through_a_softmax() -> None:
    np.testing.assert_allclose(
        probabilities(classifier("logits"), np.log(floats(0.2, 0.3, 0.5)) + 100), [0.2, 0.3, 0.5], atol=1e-5
    )


def test_huge_logits_do_not_overflow() -> None:
    np.testing.assert_allclose(probabilities(classifier("logits"), floats(1000.0, 0.0, -1000.0)), [1.0, 0.0, 0.0])


@pytest.mark.parametrize("output", [(0.9, 0.9, 0.1), (-0.1, 0.5, 0.5), (float("nan"), 0.5, 0.5)])
def test_an_output_that_is_no_set_of_probabilities_is_a_failure(output: tuple[float, ...]) -> None:
    with pytest.raises(EngineFailedError, match="the output of colours is no set of probabilities"):
        probabilities(classifier(), floats(*output))


def test_tags_are_the_likeliest_over_the_floor_surest_first() -> None:
    source = TagSource(attribute="colours", floor=0.25, most=2)
    assert tags(source, LABELS, floats(0.25, 0.5, 0.25)) == (Tag("green", 0.5), Tag("red", 0.25))
    assert tags(source, LABELS, floats(0.125, 0.75, 0.125)) == (Tag("green", 0.75),)
    assert tags(source, LABELS, floats(0.0, 0.0, 0.0)) == ()
