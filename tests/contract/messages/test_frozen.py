"""Version 1 as other teams got it stays good: its writers are understood, its readers understand.

The files under frozen/ are copies of what was released. A released copy never changes; a release with new optional
fields adds a folder beside it.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.example_files import read_examples
from schemas.json_schemas import json_schema
from schemas.registry import MESSAGES, MessageVersion
from tests.contract.messages.compatibility import breaking_changes

FROZEN = Path(__file__).parent / "frozen"

releases = [
    pytest.param(message, folder, id=f"{folder.name}-{message.slug}")
    for folder in sorted(FROZEN.iterdir())
    for message in MESSAGES
    if (folder / "schemas" / f"{message.slug}.schema.json").exists()
]


def frozen_schema(message: MessageVersion, folder: Path) -> Any:
    """Return a message's schema as it was released."""
    return json.loads((folder / "schemas" / f"{message.slug}.schema.json").read_text(encoding="utf-8"))


def test_every_message_has_been_frozen() -> None:
    assert {parameter.values[0] for parameter in releases} == set(MESSAGES)


@pytest.mark.parametrize(("message", "folder"), releases)
def test_a_release_stays_compatible(message: MessageVersion, folder: Path) -> None:
    assert breaking_changes(frozen_schema(message, folder), json_schema(message), message.direction) == []


@pytest.mark.parametrize(("message", "folder"), releases)
def test_released_examples_are_still_read(message: MessageVersion, folder: Path) -> None:
    found = read_examples(message, folder / "examples")
    assert found
    for example in found.values():
        message.model.model_validate(example)


@pytest.mark.parametrize(("message", "folder"), releases)
def test_todays_outcomes_fit_released_schemas(message: MessageVersion, folder: Path) -> None:
    if message.direction == "input":
        return
    validator = Draft202012Validator(frozen_schema(message, folder))
    for example in read_examples(message).values():
        validator.validate(json.loads(message.model.model_validate(example).model_dump_json()))
