"""No message for users begins with pydantic's word for the kind of an error."""

from importlib.resources import files
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError, field_validator
from typer.testing import CliRunner

from service.cli.commands import app
from service.core.documents import check_document
from service.core.validation_text import placed_text_of, without_prefix
from service.events.event_faults import event_rejection
from service.inference.errors import EngineConfigurationError
from service.inference.onnx.catalogue import load_catalogue
from service.policy.errors import PolicyFileError

TEXT = "the leaves are no colour"


class Tree(BaseModel):
    leaves: str

    @field_validator("leaves")
    @classmethod
    def _are_a_colour(cls, leaves: str) -> str:
        raise AssertionError(TEXT) if leaves == "many" else ValueError(TEXT)


def refused(leaves: str) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Tree(leaves=leaves)
    return caught.value


@pytest.mark.parametrize("leaves", ["few", "many"])
def test_the_text_of_a_validator_stands_alone(leaves: str) -> None:
    assert placed_text_of(refused(leaves).errors()[0]) == f"leaves: {TEXT}"


def test_other_messages_stay_as_they_are() -> None:
    assert without_prefix("Input should be 'Value error, x'") == "Input should be 'Value error, x'"


@pytest.mark.parametrize("leaves", ["few", "many"])
def test_a_policy_file_is_refused_in_the_words_of_its_validator(tmp_path: Path, leaves: str) -> None:
    path = tmp_path / "tree.yaml"
    path.write_text(f"leaves: {leaves}")
    (problem,) = check_document(path, Tree, PolicyFileError).problems
    assert str(problem).startswith(f"{path}, line 1: leaves: {TEXT}")


def test_an_event_is_refused_in_the_words_of_its_validator() -> None:
    assert str(event_rejection(refused("few"))).endswith(f": {TEXT}")


def test_a_catalogue_of_classifiers_is_refused_in_the_words_of_its_validator(tmp_path: Path) -> None:
    bundled = Path(str(files("service.inference.onnx"))) / "models" / "catalogue.yaml"
    path = tmp_path / "classifiers.yaml"
    path.write_text(bundled.read_text().replace("attribute_schema:", "# "))
    with pytest.raises(EngineConfigurationError) as caught:
        load_catalogue(path)
    assert f"{path}: attribute_schema names the schema of tags" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["try", "--engine", "big"], "Invalid value for '--engine': 'big' is not one of"),
        (["capacity", "--images-per-day", "5", "--engine", "big"], "'big' is not one of"),
        (["demo", "--images", "/nowhere"], "'--images': dir '/nowhere' does not exist"),
        (["send", "https://example.com/x.jpg", "--task", "judge"], "moderation, tags"),
        (["dead-letters", "list", "--since", "soon"], "soon"),
        (["watch", "--count", "0"], "greater than or equal to 1"),
    ],
    ids=" ".join,
)
def test_an_argument_is_refused_in_the_words_of_its_validator(arguments: list[str], text: str) -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)
    assert (result.exit_code, "Value error" in result.stderr) == (2, False)
    assert text in result.stderr


@pytest.mark.parametrize("value", ["leaves", ["leaves"], 7])
def test_what_is_no_object_is_said_without_the_name_of_a_class(value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate(value)
    assert placed_text_of(caught.value.errors()[0]) == "Input should be an object with named fields"
