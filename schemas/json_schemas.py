"""Models → JSON Schemas as other teams read them. Pure."""

from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from schemas.base import Message
from schemas.registry import MESSAGES, MessageVersion

Schema = dict[str, Any]
"""A JSON Schema."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(message: MessageVersion) -> Schema:
    """Return the schema of one message, complete in itself: of what is accepted, or of what is written."""
    schema = message.model.model_json_schema(mode=_mode(message))
    return {"$schema": DIALECT, "$id": f"urn:modstream:schema:{message.slug}"} | schema


def shared_definitions(prefix: str) -> dict[str, Schema]:
    """Return the schemas of all messages and their parts by model name, referring to each other under the prefix."""
    wanted: list[tuple[type[Message], Literal["validation", "serialization"]]] = [
        (message.model, _mode(message)) for message in MESSAGES
    ]
    _, definitions = models_json_schema(wanted, ref_template=prefix + "{model}")
    found: dict[str, Schema] = definitions["$defs"]
    return found


def _mode(message: MessageVersion) -> Literal["validation", "serialization"]:
    return "validation" if message.direction == "input" else "serialization"
