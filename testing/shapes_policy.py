"""The tiny model's shapes as a policy that operators could have written."""

from dataclasses import asdict
from pathlib import Path

import yaml

from service.core.instructions import Attribute, AttributeSchema, ModelInstructions
from testing.tiny_model.shapes import INSTRUCTIONS

BLOCK = 0.5
"""The threshold of every category: the tiny model's scores are far from it on both sides."""


def write_shapes_policy(folder: Path, instructions: ModelInstructions = INSTRUCTIONS) -> Path:
    """Write a policy from which the service makes that instructions, and return its file."""
    attributes = None
    if instructions.attributes is not None:
        attributes = "shapes.attributes.yaml"
        _write(folder / attributes, _schema(instructions.attributes))
    content = {
        "name": "shapes",
        "version": "1",
        "language": instructions.language,
        "vision_tokens": instructions.vision_tokens,
        "attributes": attributes,
        "categories": {
            category.name: {
                "review": BLOCK,
                "block": BLOCK,
                "definition": {"means": category.means, "not_meant": category.not_meant},
            }
            for category in instructions.categories
        },
    }
    return _write(folder / "shapes.yaml", content)


def _schema(schema: AttributeSchema) -> dict[str, object]:
    name, version = schema.name.split("/")
    attributes = {attribute.name: _question(attribute) for attribute in schema.attributes}
    return {"name": name, "version": version, "attributes": attributes}


def _question(attribute: Attribute) -> dict[str, object]:
    question: dict[str, object] = {"key": attribute.key, "asks": attribute.asks, "most": attribute.most}
    if attribute.limit is not None:
        return question | {"limit": asdict(attribute.limit)}
    return question | {"values": list(attribute.values)}


def _write(path: Path, content: dict[str, object]) -> Path:
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path
