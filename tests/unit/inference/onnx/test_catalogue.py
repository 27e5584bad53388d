from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.inference.errors import EngineConfigurationError
from service.inference.onnx.catalogue import load_catalogue
from service.policy.taxonomy import NAMES
from tests.unit.inference.onnx.models import entry, write_catalogue, write_mean_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_mean_model(tmp_path / "means.onnx")


def test_bundled_models_are_the_files_of_their_checksums() -> None:
    for classifier in load_catalogue(None).classifiers:
        assert classifier.read_model()


def test_bundled_catalogue_covers_what_its_models_know_and_no_more() -> None:
    catalogue = load_catalogue(None)
    hints = {"weapons", "alcohol", "swimwear_underwear", "gambling"}
    assert catalogue.hints == hints
    assert catalogue.covers == hints | {"sexual_explicit", "nudity_nonexplicit"}
    assert catalogue.covers <= set(NAMES)


def test_bundled_models_ship_with_their_licences() -> None:
    folder = load_catalogue(None).classifiers[0].path.parent
    named = {word.strip("();") for c in load_catalogue(None).classifiers for word in c.entry.licence.split()}
    files = {name for name in named if name.startswith("licences/")}
    assert files == {f"licences/{path.name}" for path in (folder / "licences").iterdir()}


def test_bundled_labels_are_distinct_names() -> None:
    for classifier in load_catalogue(None).classifiers:
        assert len(set(classifier.labels)) == len(classifier.labels)


def test_another_file_under_a_models_name_is_refused_by_name(tmp_path: Path, model: Path) -> None:
    (classifier,) = load_catalogue(write_catalogue(tmp_path, entry(model))).classifiers
    model.write_bytes(model.read_bytes() + b"\0")
    with pytest.raises(EngineConfigurationError, match=r"means\.onnx is not the model means: SHA-256 is"):
        classifier.read_model()


def test_a_missing_model_file_is_named(tmp_path: Path, model: Path) -> None:
    (classifier,) = load_catalogue(write_catalogue(tmp_path, entry(model))).classifiers
    model.unlink()
    with pytest.raises(EngineConfigurationError, match=r"means\.onnx: No such file"):
        classifier.read_model()


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"sha256": "0"}, r"classifiers\.0\.sha256: String should match"),
        ({"colour": 1}, r"classifiers\.0\.colour: Extra inputs"),
        ({"output": "scores"}, r"classifiers\.0\.output: Input should be 'probabilities' or 'logits'"),
        ({"labels": "none.txt"}, r"No such file or directory: .*none\.txt"),
        ({"categories": {"violence": {"classes": {0: "green"}, "why": ""}}}, "violence: class 0 is not 'green'"),
        ({"categories": {"violence": {"classes": {3: "red"}, "why": ""}}}, "violence: class 3 is not 'red'"),
        ({"categories": {"violence": {"classes": {-3: "red"}, "why": ""}}}, "violence: class -3 is not 'red'"),
        ({"categories": {"violence": {"classes": {}, "why": ""}}}, "should have at least 1 item"),
        ({"tags": {"attribute": "colours", "floor": 0.1, "most": 1}}, "attribute_schema names the schema of tags"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, model: Path, changes: dict[str, Any], detail: str) -> None:
    path = write_catalogue(tmp_path, entry(model, **changes))
    with pytest.raises(EngineConfigurationError, match=detail) as caught:
        load_catalogue(path)
    assert str(caught.value).startswith("engine.onnx.classifiers: ")


def test_a_category_comes_from_one_classifier(tmp_path: Path, model: Path) -> None:
    path = write_catalogue(tmp_path, entry(model), entry(model, name="again"))
    with pytest.raises(EngineConfigurationError, match="more than one classifier gives violence"):
        load_catalogue(path)


@pytest.mark.parametrize("content", ["", "classifiers: []", "classifiers: [", "\x00"])
def test_a_file_that_is_no_catalogue_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(EngineConfigurationError, match=r"engine\.onnx\.classifiers: .*mine\.yaml: "):
        load_catalogue(path)


def test_labels_may_stand_in_a_file(tmp_path: Path, model: Path) -> None:
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n", encoding="utf-8")
    (classifier,) = load_catalogue(write_catalogue(tmp_path, entry(model, labels="labels.txt"))).classifiers
    assert classifier.labels == ("red", "green", "blue")


@pytest.mark.parametrize(
    ("change", "is_another"),
    [
        (lambda e: e | {"licence": "MIT", "source": "elsewhere"}, False),
        (lambda e: e | {"categories": {"violence": {"classes": {0: "red"}, "why": "other words"}}}, False),
        (lambda e: e | {"sha256": "0" * 64}, True),
        (lambda e: e | {"labels": ["red", "blue", "green"]}, True),
        (lambda e: e | {"output": "probabilities"}, True),
        (lambda e: e | {"preprocessing": e["preprocessing"] | {"centre": 0.5}}, True),
        (lambda e: e | {"categories": {"violence": {"classes": {1: "green"}, "why": "blood"}}}, True),
        (lambda e: e | {"categories": {"weapons": {"classes": {0: "red"}, "why": "blood"}}}, True),
    ],
)
def test_the_revision_changes_with_all_that_scores_depend_on(
    tmp_path: Path, model: Path, change: Callable[[dict[str, Any]], dict[str, Any]], *, is_another: bool
) -> None:
    before = load_catalogue(write_catalogue(tmp_path, entry(model))).revision
    after = load_catalogue(write_catalogue(tmp_path, change(entry(model)))).revision
    assert (before != after) == is_another
    assert before.startswith("sha256:")


def test_decoded_images_keep_the_resolution_that_classifiers_use() -> None:
    # A centre crop of 7/8 to 224 pixels wants 256 of the shorter side.
    assert load_catalogue(None).max_pixels == 256 * 256 * 5
