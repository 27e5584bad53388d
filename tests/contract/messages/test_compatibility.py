"""The rules of compatibility themselves: each breaking change is caught, each harmless one passes."""

from typing import Any

import pytest

from tests.contract.messages.compatibility import breaking_changes

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
OLD: Schema = {
    "$defs": {"Part": {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"]}},
    "type": "object",
    "properties": {
        "id": {"type": "string", "maxLength": 10, "minLength": 1},
        "note": {"anyOf": [TEXT, {"type": "null"}], "default": None},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "part": {"$ref": "#/$defs/Part"},
        "list": {"type": "array", "items": {"type": "string", "enum": ["x", "y"]}},
        "map": {"type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1}},
        "image": {"oneOf": [{"$ref": "#/$defs/Part"}, {"type": "object", "required": ["url"]}]},
        "when": {"type": "string", "format": "date-time"},
        "flag": {"const": "on"},
    },
    "required": ["id", "kind"],
}


def changed(**fields: Schema) -> Schema:
    """Return the old schema with some fields defined anew."""
    return OLD | {"properties": OLD["properties"] | fields}


def without(field: str) -> Schema:
    """Return the old schema less a field."""
    fields = {name: schema for name, schema in OLD["properties"].items() if name != field}
    return OLD | {"properties": fields, "required": [name for name in OLD["required"] if name != field]}


def requiring(*names: str) -> Schema:
    """Return the old schema with other required fields."""
    return OLD | {"required": list(names)}


def part(schema: Schema) -> Schema:
    """Return the old schema with another nested object."""
    return OLD | {"$defs": {"Part": schema}}


SIZE = {"size": {"type": "integer"}}
LONGER = changed(id={"type": "string", "maxLength": 20, "minLength": 1})
SHORTER = changed(id={"type": "string", "maxLength": 5, "minLength": 1})
NOT_NULL = changed(note=TEXT)
WIDER_TYPE = changed(id={"anyOf": [OLD["properties"]["id"], {"type": "null"}]})
MORE_VALUES = changed(kind={"type": "string", "enum": ["a", "b", "c"]})
FEWER_VALUES = changed(kind={"type": "string", "enum": ["a"]})
ANY_VALUE = changed(kind=TEXT)
NEW_OPTIONAL = changed(extra=TEXT)
NEW_REQUIRED = changed(extra=TEXT) | {"required": ["id", "kind", "extra"]}
NOW_REQUIRED = requiring("id", "kind", "note")
NOW_OPTIONAL = requiring("id")
NESTED_REQUIRED = part({"type": "object", "properties": SIZE | {"unit": TEXT}, "required": ["size", "unit"]})
NESTED_OPTIONAL = part({"type": "object", "properties": SIZE})
NESTED_GONE = part({"type": "object", "properties": {}})
MORE_ITEMS = changed(list={"type": "array", "items": {"type": "string", "enum": ["x", "y", "z"]}})
FEWER_ITEMS = changed(list={"type": "array", "items": {"type": "string", "enum": ["x"]}})
WIDER_MAP = changed(map={"type": "object", "additionalProperties": {"type": "number", "minimum": 0}})
NARROWER_MAP = changed(map={"type": "object", "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 1}})
CLOSED = OLD | {"additionalProperties": False}
MORE_KINDS = changed(image={"oneOf": [*OLD["properties"]["image"]["oneOf"], TEXT]})
FEWER_KINDS = changed(image={"oneOf": [{"$ref": "#/$defs/Part"}]})
NO_FORMAT = changed(when=TEXT)
PATTERN = changed(id=OLD["properties"]["id"] | {"pattern": "^[a-z]+$"})
OTHER_CONSTANT = changed(flag={"const": "off"})
REMARKS = OLD | {"title": "New", "description": "Other words", "$id": "urn:new", "examples": [1]}
BOUNDED_MAP = changed(map=OLD["properties"]["map"] | {"maxProperties": 3, "propertyNames": {"maxLength": 5}})


@pytest.mark.parametrize(
    "new",
    [
        without("note"),
        NESTED_GONE,
        SHORTER,
        NOT_NULL,
        FEWER_VALUES,
        NEW_REQUIRED,
        NOW_REQUIRED,
        NESTED_REQUIRED,
        FEWER_ITEMS,
        NARROWER_MAP,
        CLOSED,
        FEWER_KINDS,
        PATTERN,
        OTHER_CONSTANT,
        BOUNDED_MAP,
        changed(id={"type": "integer"}),
        changed(list={"type": "array", "items": OLD["properties"]["list"]["items"], "minItems": 1}),
    ],
)
def test_a_change_that_breaks_old_writers_is_caught(new: Schema) -> None:
    assert breaking_changes(OLD, new, "input")


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        REMARKS,
        LONGER,
        WIDER_TYPE,
        MORE_VALUES,
        ANY_VALUE,
        NEW_OPTIONAL,
        NOW_OPTIONAL,
        NESTED_OPTIONAL,
        MORE_ITEMS,
        WIDER_MAP,
        MORE_KINDS,
        NO_FORMAT,
        changed(id={}),
    ],
)
def test_a_change_that_old_writers_do_not_notice_passes(new: Schema) -> None:
    assert breaking_changes(OLD, new, "input") == []


@pytest.mark.parametrize(
    "new",
    [
        without("note"),
        NESTED_GONE,
        LONGER,
        WIDER_TYPE,
        MORE_VALUES,
        ANY_VALUE,
        NOW_OPTIONAL,
        NESTED_OPTIONAL,
        MORE_ITEMS,
        WIDER_MAP,
        MORE_KINDS,
        NO_FORMAT,
        OTHER_CONSTANT,
        changed(id={"type": "integer"}),
    ],
)
def test_a_change_that_breaks_old_readers_is_caught(new: Schema) -> None:
    assert breaking_changes(OLD, new, "output")


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        REMARKS,
        SHORTER,
        NOT_NULL,
        FEWER_VALUES,
        NEW_OPTIONAL,
        NEW_REQUIRED,
        NOW_REQUIRED,
        NESTED_REQUIRED,
        FEWER_ITEMS,
        NARROWER_MAP,
        FEWER_KINDS,
        PATTERN,
    ],
)
def test_a_change_that_old_readers_do_not_notice_passes(new: Schema) -> None:
    assert breaking_changes(OLD, new, "output") == []


def test_a_change_is_named_by_its_place() -> None:
    assert breaking_changes(OLD, FEWER_ITEMS, "input") == ["/list/items: values ['x', 'y'] against ['x']"]
    assert breaking_changes(OLD, LONGER, "output") == ["/id: maxLength 20 against 10"]
    assert breaking_changes(OLD, without("note"), "output") == ["/note: the field is gone"]


@pytest.mark.parametrize("place", ["properties", "anyOf"])
def test_a_keyword_without_a_rule_stops_the_comparison(place: str) -> None:
    strange: Schema = {"type": "integer", "multipleOf": 3}
    nested = {"x": strange} if place == "properties" else [strange]
    with pytest.raises(NotImplementedError, match="multipleOf"):
        breaking_changes({place: nested}, {place: nested}, "input")


def test_each_place_of_a_tuple_is_compared() -> None:
    def pair(first: str, second: str) -> Schema:
        return {"type": "array", "prefixItems": [{"type": first}, {"type": second}], "minItems": 2, "maxItems": 2}

    assert breaking_changes(pair("integer", "string"), pair("integer", "string"), "output") == []
    (found,) = breaking_changes(pair("integer", "string"), pair("integer", "number"), "output")
    assert found.startswith("/1: type")
