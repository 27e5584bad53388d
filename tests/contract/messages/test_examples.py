"""Every message and version has examples; each passes the model, the published schema, and comes back unchanged."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.example_files import EXAMPLES, read_examples
from schemas.registry import IMAGE_UPLOADED_V1, MESSAGES, VERDICT_V1, MessageVersion
from schemas.verdict import REASON_CODES
from scripts.contract import PUBLISHED

# What the contract promises as the least that is accepted.
LEAST = {
    "minimal_by_url": {"image_id": "42", "image": {"url": "https://cdn.example.com/42.jpg"}},
    "minimal_inline": {"image_id": "42", "image": {"inline": "<base64>", "media_type": "image/jpeg"}},
}

examples = [
    pytest.param(message, example, id=f"{message.slug}/{name}")
    for message in MESSAGES
    for name, example in read_examples(message).items()
]


def published_schema(message: MessageVersion) -> Any:
    """Return the committed schema, not a generated one."""
    return json.loads((PUBLISHED / f"{message.slug}.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.slug)
def test_every_message_has_several_examples(message: MessageVersion) -> None:
    assert len(read_examples(message)) >= 2


def test_every_folder_of_examples_belongs_to_a_message() -> None:
    assert {folder.name for folder in EXAMPLES.iterdir()} == {message.slug for message in MESSAGES}


@pytest.mark.parametrize(("message", "example"), examples)
def test_an_example_fits_the_published_schema(message: MessageVersion, example: Any) -> None:
    Draft202012Validator(published_schema(message)).validate(example)


@pytest.mark.parametrize(("message", "example"), examples)
def test_an_example_comes_back_unchanged(message: MessageVersion, example: Any) -> None:
    model = message.model.model_validate(example)
    assert message.model.model_validate_json(model.model_dump_json()) == model


@pytest.mark.parametrize(("message", "example"), examples)
def test_what_is_written_is_the_example_in_full(message: MessageVersion, example: Any) -> None:
    """Outcomes are written as the example says; uploads at least hold what it says of known fields."""
    written = json.loads(message.model.model_validate(example).model_dump_json())
    Draft202012Validator(published_schema(message)).validate(written)
    if message.direction == "output":
        assert written == example


@pytest.mark.parametrize(("name", "least"), LEAST.items())
def test_the_least_that_is_accepted_is_an_example(name: str, least: dict[str, Any]) -> None:
    example = read_examples(IMAGE_UPLOADED_V1)[name]
    IMAGE_UPLOADED_V1.model.model_validate(least)
    assert example.keys() == least.keys()
    assert example["image"].keys() == least["image"].keys()


@pytest.mark.parametrize("name", LEAST)
def test_less_than_the_least_is_refused_by_model_and_schema(name: str) -> None:
    example = read_examples(IMAGE_UPLOADED_V1)[name]
    validator = Draft202012Validator(published_schema(IMAGE_UPLOADED_V1))
    for field in example:
        poorer = {key: value for key, value in example.items() if key != field}
        assert not validator.is_valid(poorer)
    for field in example["image"]:
        poorer = example | {"image": {key: value for key, value in example["image"].items() if key != field}}
        assert not validator.is_valid(poorer)


def test_the_examples_show_every_kind_of_verdict() -> None:
    verdicts = read_examples(VERDICT_V1)
    assert {verdict["decision"] for verdict in verdicts.values()} == {"allow", "review", "block"}
    assert {verdict["status"] for verdict in verdicts.values()} == {"moderated", "not_moderated"}
    assert {reason["code"] for verdict in verdicts.values() for reason in verdict["reasons"]} >= {*REASON_CODES[:3]}
    assert verdicts["animated"]["image"]["frames_judged"] < verdicts["animated"]["image"]["frames"]
