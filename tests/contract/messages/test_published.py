"""The published form of the contract: generated, valid, explained, and no different from what is committed."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from schemas.asyncapi import asyncapi_document
from schemas.example_files import read_examples
from schemas.json_schemas import json_schema
from schemas.registry import MESSAGES, MessageVersion
from scripts.contract import PUBLISHED, contract
from service.delivery.notices import notice_topics
from service.settings.delivery import DeadLetterSettings, TopicSettings
from service.settings.settings import Settings
from service.tools.finetuning.review_topic import TOPIC

each_message = pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.slug)


def fields_of(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every field of a JSON Schema, or of a document that holds some."""
    if isinstance(schema, dict):
        properties = schema.get("properties")
        for name, field in properties.items() if isinstance(properties, dict) else ():
            yield f"{path}/{name}", field
        for key, value in schema.items():
            yield from fields_of(value, f"{path}/{key}")


def test_what_is_committed_is_what_the_models_generate() -> None:
    assert contract().differences() == [], "run make contract and commit what it changes"


def test_a_difference_is_found_named_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = contract(tmp_path)
    assert copy.run([], description=None) == 0
    assert copy.run(["--check"], description=None) == 0
    (tmp_path / "tags.v1.schema.json").write_text("{}\n")
    (tmp_path / "verdict.v1.schema.json").unlink()
    (tmp_path / "verdict.v0.schema.json").write_text("{}\n")
    assert copy.run(["--check"], description=None) == 1
    complaints = capsys.readouterr().err
    assert [name in complaints for name in ("tags.v1", "verdict.v1", "verdict.v0", "asyncapi")] == [True] * 3 + [False]
    copy.write()
    assert copy.differences() == []


@each_message
def test_a_schema_is_valid_and_names_itself(message: MessageVersion) -> None:
    schema = json.loads((PUBLISHED / f"{message.slug}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:modstream:schema:{message.slug}"


@each_message
def test_every_field_says_what_it_is(message: MessageVersion) -> None:
    explained = ("description", "$ref")  # a part explains itself where the field adds nothing
    silent = [path for path, field in fields_of(json_schema(message)) if not any(map(field.get, explained))]
    assert silent == []


@each_message
def test_readers_find_every_field_in_every_outcome(message: MessageVersion) -> None:
    if message.direction == "input":
        return
    schema = json_schema(message)
    for name, part in {"": schema, **schema["$defs"]}.items():
        assert set(part["required"]) == set(part["properties"]), name


def test_unknown_fields_are_accepted() -> None:
    for message in MESSAGES:
        assert 'additionalProperties": false' not in json.dumps(json_schema(message))


@pytest.mark.tool("asyncapi")
def test_asyncapis_own_parser_accepts_the_document() -> None:
    document = PUBLISHED / "asyncapi.yaml"
    answer = subprocess.run(["asyncapi-check", document], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "valid, errors 0" in answer.stdout


@pytest.mark.tool("asyncapi")
def test_asyncapis_own_parser_refuses_a_broken_document(tmp_path: Path) -> None:
    document = asyncapi_document()
    document["operations"]["sendTags"]["channel"] = {"$ref": "#/channels/tag"}
    path = tmp_path / "asyncapi.yaml"
    path.write_text(yaml.safe_dump(document))
    answer = subprocess.run(["asyncapi-check", path], capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert "sendTags" in answer.stdout


def test_examples_in_the_document_are_the_tested_ones() -> None:
    messages = asyncapi_document()["components"]["messages"]
    for message in MESSAGES:
        shown = {example["name"]: example["payload"] for example in messages[message.slug]["examples"]}
        assert shown == read_examples(message)


def test_definitions_in_the_document_are_the_schemas() -> None:
    shown = asyncapi_document()["components"]["schemas"]
    for message in MESSAGES:
        schema = json_schema(message)
        parts = schema.pop("$defs") | {message.model.__name__: schema}
        for name, part in parts.items():
            here = {keyword: value for keyword, value in part.items() if keyword not in {"$schema", "$id"}}
            assert shown[name] == json.loads(json.dumps(here).replace("#/$defs/", "#/components/schemas/"))


def test_topics_have_the_names_that_the_service_uses() -> None:
    channels = asyncapi_document()["channels"]
    notices = channels.pop("notices")
    # A command reads it, and the service does not.
    assert channels.pop("reviews")["address"] == TOPIC
    shop = Settings(dead_letter=DeadLetterSettings(notice_tenants=("shop",)))
    assert [notices["address"].replace("{tenant}", "shop")] == [*notice_topics(shop).values()]
    addresses = {channel["address"] for channel in channels.values()}
    assert addresses == set(TopicSettings().model_dump().values())
    assert all(channel["bindings"]["kafka"]["topic"] == channel["address"] for channel in channels.values())


def test_every_header_says_what_it_is() -> None:
    messages = asyncapi_document()["components"]["messages"]
    for message in messages.values():
        assert all(header["description"] for header in message["headers"]["properties"].values())
