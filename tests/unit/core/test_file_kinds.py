"""A file that is given to the wrong command or setting is recognised."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.image_uploaded import ImageUploadedV1
from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.core.file_kinds import (
    ATTRIBUTES,
    CALIBRATION,
    CLASSIFIERS,
    EVENT,
    OUTCOME,
    POLICY,
    SETTINGS,
    FileKind,
    kind_of,
    other_kind_hint,
)
from service.policy.attribute_file import AttributeFile
from service.policy.calibration import CalibrationFile
from service.policy.policy import Policy
from service.settings.settings import Settings


def bundled(package: str, *path: str) -> Any:
    return yaml.safe_load(Path(str(files(package).joinpath(*path))).read_text(encoding="utf-8"))


DOCUMENTS: tuple[tuple[FileKind, Mapping[str, Any]], ...] = (
    (POLICY, bundled("service.policy", "policies", "default.yaml")),
    (ATTRIBUTES, bundled("service.policy", "attributes", "product.en.yaml")),
    (CLASSIFIERS, bundled("service.inference.onnx", "models", "catalogue.yaml")),
    (CALIBRATION, {"format": "modstream-calibration/1", "fitted_on": {"dataset": "photos"}, "engines": []}),
    (SETTINGS, {"kafka": {"group_id": "a"}}),
    (SETTINGS, {"policy": {"path": "policies"}}),
    (EVENT, {"image_id": "1", "image": {"url": "https://example.com/1.jpg"}, "policy": "shop"}),
    (EVENT, {"specversion": "1.0", "type": "a", "source": "/b", "data": {}}),
    (OUTCOME, {"image_id": "1", "source": {}, "policy": {}}),
)


@pytest.mark.parametrize(("kind", "content"), DOCUMENTS)
def test_each_kind_is_recognised(kind: FileKind, content: Mapping[str, Any]) -> None:
    assert kind_of(content) is kind


@pytest.mark.parametrize("content", [None, "text", [1], {}, {"colour": "red"}, {1: 2}])
def test_other_documents_are_of_no_kind(content: object) -> None:
    assert kind_of(content) is None


def test_a_file_of_the_right_kind_gets_no_hint_whatever_else_it_holds() -> None:
    assert [other_kind_hint({"categories": {}, "kafka": {}}, kind) for kind in (POLICY, SETTINGS)] == [None, None]


def test_every_group_of_settings_marks_a_settings_file() -> None:
    assert {key for marks in SETTINGS.marks for key in marks} == set(Settings.model_fields)


@pytest.mark.parametrize(
    ("kind", "models"),
    [
        (POLICY, [Policy]),
        (ATTRIBUTES, [AttributeFile]),
        (CALIBRATION, [CalibrationFile]),
        (EVENT, [ImageUploadedV1]),
        (OUTCOME, [VerdictV1, TagsV1]),
    ],
)
def test_the_marks_of_a_kind_are_fields_that_its_files_must_have(kind: FileKind, models: list[Any]) -> None:
    required = [{name for name, field in model.model_fields.items() if field.is_required()} for model in models]
    assert all(any(marks <= each for marks in kind.marks) for each in required)
