import time
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from service.api.openai.chat_schema import SchemaRefusedError, check_schema

TEXT = {"type": "string"}


def closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    names = list(properties)
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


class Colour(BaseModel):
    name: str
    share: float | None = None


class Product(BaseModel):
    category: str
    colours: list[Colour]
    season: Colour | None


def test_what_tagging_needs_is_accepted() -> None:
    tags = {"category": TEXT, "colors": {"type": "array", "items": TEXT, "maxItems": 5}, "season": {"enum": ["a", "b"]}}
    check_schema(closed(tags | {"count": {"type": ["integer", "null"], "minimum": 0}}), param="p")
    check_schema({"type": "object", "additionalProperties": TEXT}, param="p")
    check_schema(closed({"day": {"type": "string", "format": "date", "description": "x", "title": "y"}}), param="p")
    check_schema(closed({"size": {"anyOf": [TEXT, {"type": "integer"}, {"enum": [None]}]}}), param="p")
    check_schema({}, param="p")


def test_a_schema_of_pydantic_is_accepted() -> None:
    check_schema(Product.model_json_schema(), param="p")


def nested(levels: int) -> Any:
    return closed({"a": nested(levels - 1)}) if levels else TEXT


def recursive() -> Any:
    return {
        "$defs": {"node": closed({"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}})},
        "$ref": "#/$defs/node",
    }


def doubling(levels: int) -> Any:
    inner = TEXT if not levels else doubling(levels - 1)
    return {"anyOf": [{"type": "array", "items": inner}, {"type": "array", "items": inner}]}


def referring(levels: int) -> Any:
    """Return a schema that expands to 2 ** levels alternatives."""
    definitions: dict[str, Any] = {"l0": TEXT}
    for level in range(1, levels):
        reference = {"$ref": f"#/$defs/l{level - 1}"}
        definitions[f"l{level}"] = {"anyOf": [{"type": "array", "items": reference}, reference]}
    return {"$defs": definitions, "$ref": f"#/$defs/l{levels - 1}"}


def lists(levels: int) -> Any:
    return [lists(levels - 1)] if levels else 1


BOMBS = {
    "deep value": (closed({"a": {"type": "array", "default": lists(400)}}), "deeper than 64 objects and lists"),
    "lengths": ({"anyOf": [{"type": "string", "maxLength": n + 1} for n in range(3)]}, "maxLength.*description"),
    "one length": (closed({"a": {"type": "string", "minLength": 1000}}), "#/properties/a/minLength"),
    "pattern": (closed({"a": {"type": "string", "pattern": "(a|a)*b"}}), "regular expression"),
    "pattern properties": ({"type": "object", "patternProperties": {".*": TEXT}}, "not supported"),
    "alternatives": ({"anyOf": [closed({"a": TEXT, f"b{n}": TEXT}) for n in range(2)]}, "differ in type"),
    "doubled alternatives": (doubling(2), "differ in type"),
    "alternatives behind references": (referring(3), "differ in type"),
    "alternatives of unknown type": ({"anyOf": [TEXT, {"description": "anything"}]}, "differ in type"),
    "overlapping values": ({"anyOf": [TEXT, {"enum": [1, "a"]}]}, "differ in type"),
    "integers and numbers": ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, "differ in type"),
    "too many alternatives": ({"anyOf": [{"const": n} for n in range(7)]}, "at most 6"),
    "optional properties": ({"type": "object", "properties": {f"p{n}": TEXT for n in range(17)}}, "16 .* optional"),
    "open objects": (closed({"a": TEXT}) | {"additionalProperties": TEXT}, "only false"),
    "recursion": (recursive(), "recursive"),
    "depth": (nested(30), "nested deeper"),
    "width": (closed({f"p{n}": TEXT for n in range(400)}), "more than 200 subschemas"),
    "size": ({"enum": ["x" * 100] * 400}, "bytes"),
    "bounds": (closed({f"p{n}": {"type": "number", "minimum": 0.1} for n in range(50)}), "formats and bounds"),
    "a bound of many digits": (closed({"a": {"type": "number", "minimum": 1e300}}), "not valid"),
    "slow format": (closed({"a": {"type": "string", "format": "uri-template"}}), "not valid"),
    "items": ({"type": "array", "items": TEXT, "minItems": 10**9}, "not valid"),
    "remote reference": ({"$ref": "https://example.com/schema.json"}, "names no definition"),
    "reference into itself": ({"$ref": "#"}, "names no definition"),
    "unknown keyword": ({"type": "object", "if": {}, "then": {}}, "#/if, this keyword is not supported"),
    "no schema": (closed({"a": []}), "a schema is an object"),
    "false": (closed({"a": False}), "a schema is an object"),
    "unknown type": ({"type": "text"}, "not valid"),
    "several of all": ({"allOf": [TEXT, {"enum": ["a"]}]}, "at most 1 schemas"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_schema_that_costs_too_much_or_is_none_is_refused_by_its_place(name: str) -> None:
    schema, detail = BOMBS[name]
    with pytest.raises(SchemaRefusedError, match=detail) as caught:
        check_schema(schema, param="response_format")
    assert caught.value.param == "response_format"


def test_the_check_of_the_worst_schema_takes_milliseconds() -> None:
    # As many references as fit, each to a chain of definitions, which are looked at once.
    definitions = {f"d{n}": closed({"a": {"$ref": f"#/$defs/d{n + 1}"}}) for n in range(6)} | {"d6": TEXT}
    schema = closed({f"p{n}": {"$ref": "#/$defs/d0"} for n in range(150)}) | {"$defs": definitions}
    began_s = time.process_time()
    check_schema(schema, param="p")
    assert time.process_time() - began_s < 0.05
