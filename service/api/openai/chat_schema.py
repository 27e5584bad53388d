"""Pure: which JSON schemas an answer may be forced into.

An engine compiles a schema into a grammar, and works out before each token which ones may follow, while the images of
the stream wait. A schema of 4 KB can keep it busy for minutes: with xgrammar 0.2.8 and a vocabulary of 151,000 tokens,
100 alternatives with a maxLength took 169 s to compile, and 6 of objects with 30 optional keys a second for each token.
So only keywords are accepted that are cheap however they are combined.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import orjson

from service.api.errors import ApiError

_MAX_BYTES = 16 * 1024
_MAX_NESTING = 64
"""Objects and lists: as many as vLLM takes, and fewer than serialisers do."""
_MAX_DEPTH = 16
_MAX_SUBSCHEMAS = 200
_MAX_OPTIONAL = 16
"""Keys of an object that may be missing: after each one any later one may follow. 16 take 6 ms for a token, 190 took
160 ms."""
_MAX_SPELLED = 20
"""Bounds of numbers, and formats: each becomes a grammar of its digits, which takes 0.25 ms in this process."""
_MAX_BOUND = 1e9
_MAX_ITEMS = 1000

_TYPES = frozenset({"array", "boolean", "null", "number", "object", "string"})
_FORMATS = frozenset({"date", "date-time", "ipv4", "time", "uuid"})
"""Those that compile in under 10 ms; email, hostname, uri and their kin take 100 ms and more each."""

_REFERENCE = re.compile(r"#/(?:\$defs|definitions)/([^/~%]+)")
_DEFINITIONS = ("$defs", "definitions")
_NOTES = frozenset({"$schema", "title", "description", "default", "examples"})
"""Keywords that change nothing."""
_RANGES = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_SPELLED = _RANGES | {"format"}

_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "minLength": "the engine takes seconds to compile it: say it in the description",
        "maxLength": "the engine takes seconds to compile it: say it in the description, or set max_tokens",
        "pattern": "a regular expression can keep the engine busy for long: use enum, or say it in the description",
    }
)


class SchemaRefusedError(ApiError):
    """The JSON schema of an answer is invalid, or costs the engine too much."""

    status = HTTPStatus.BAD_REQUEST
    reason = "chat.schema_refused"
    message = "The JSON schema cannot be used: at {place}, {detail}"


def check_schema(schema: Mapping[str, Any], *, param: str) -> None:
    """Raise `SchemaRefusedError` for a schema that is not accepted; `param` names the field that holds it."""
    _Check(schema, param).run()


Types = frozenset[str]
"""JSON types that a value may have; an integer counts as a number."""


class _Check:
    def __init__(self, schema: Mapping[str, Any], param: str) -> None:
        self._schema = schema
        self._param = param
        self._definitions: dict[str, Any] = {}
        self._types: dict[str, Types] = {}
        """Of definitions that were looked at."""
        self._open: list[str] = []
        """Definitions that are being looked at: one that comes again is recursive."""
        self._subschemas = 0
        self._spelled = 0

    def run(self) -> None:
        if _is_deeper(self._schema, _MAX_NESTING):
            raise self._refused("#", f"it is nested deeper than {_MAX_NESTING} objects and lists")
        if (size := len(orjson.dumps(self._schema))) > _MAX_BYTES:
            raise self._refused("#", f"its {size} bytes are more than {_MAX_BYTES}")
        for name in _DEFINITIONS:
            self._definitions |= self._named(self._schema.get(name, {}), f"#/{name}")
        for name in self._definitions:
            self._of_definition(name, f"#/$defs/{name}", depth=0)
        self._of({name: value for name, value in self._schema.items() if name not in _DEFINITIONS}, "#", depth=0)

    def _of(self, schema: Any, place: str, *, depth: int) -> Types:
        """Check everything in a schema, and return the types that its values may have."""
        self._count(schema, place, depth)
        if schema is True:
            return _TYPES
        if not isinstance(schema, dict):
            raise self._refused(place, "a schema is an object")
        types = _TYPES
        for name, value in schema.items():
            types &= self._of_keyword(name, value, f"{place}/{name}", depth)
        if properties := schema.get("properties"):
            self._check_object(schema, properties, place)
        return types

    def _check_object(self, schema: Mapping[str, Any], properties: Mapping[str, Any], place: str) -> None:
        if schema.get("additionalProperties", False) is not False:
            raise self._refused(f"{place}/additionalProperties", "only false is supported beside properties")
        if len(properties.keys() - set(schema.get("required", ()))) > _MAX_OPTIONAL:
            detail = f"more than {_MAX_OPTIONAL} properties are optional: name them in required, and allow null"
            raise self._refused(f"{place}/properties", detail)

    def _count(self, schema: Any, place: str, depth: int) -> None:
        self._subschemas += 1
        self._spelled += len(_SPELLED & schema.keys()) if isinstance(schema, dict) else 0
        if self._subschemas > _MAX_SUBSCHEMAS:
            raise self._refused(place, f"it has more than {_MAX_SUBSCHEMAS} subschemas")
        if self._spelled > _MAX_SPELLED:
            raise self._refused(place, f"it has more than {_MAX_SPELLED} formats and bounds of numbers")
        if depth > _MAX_DEPTH:
            raise self._refused(place, f"it is nested deeper than {_MAX_DEPTH} subschemas")

    def _of_keyword(self, name: str, value: Any, place: str, depth: int) -> Types:
        """Check a keyword, and return the types that it allows."""
        if (is_valid := _PLAIN.get(name)) is not None:
            if not is_valid(value):
                raise self._refused(place, "its value is not valid")
            return _types_of(name, value)
        match name:
            case "$ref":
                return self._reference(value, place, depth)
            case "anyOf" | "oneOf":
                return self._alternatives(value, place, depth)
            case "allOf":
                return self._list(value, place, depth, at_most=1)[0]
        self._check_parts(name, value, place, depth)
        return _TYPES

    def _check_parts(self, name: str, value: Any, place: str, depth: int) -> None:
        """Check a keyword whose schemas are those of a value's parts."""
        match name:
            case "prefixItems":
                self._list(value, place, depth, at_most=_MAX_SUBSCHEMAS)
            case "properties":
                for key, each in self._named(value, place).items():
                    self._of(each, f"{place}/{key}", depth=depth + 1)
            case "items":
                self._of(value, place, depth=depth + 1)
            case "additionalProperties":
                if value is not False:
                    self._of(value, place, depth=depth + 1)
            case _:
                raise self._refused(place, _REASONS.get(name, "this keyword is not supported"))

    def _alternatives(self, value: Any, place: str, depth: int) -> Types:
        """Check alternatives: with two of a type the engine follows both, and objects multiply each other's ways."""
        types: Types = frozenset()
        for each in self._list(value, place, depth, at_most=len(_TYPES)):
            if types & each:
                raise self._refused(place, "its alternatives have to differ in type, such as an object or null")
            types |= each
        return types

    def _list(self, value: Any, place: str, depth: int, *, at_most: int) -> Sequence[Types]:
        if not isinstance(value, list) or not 1 <= len(value) <= at_most:
            raise self._refused(place, f"it takes a list of at most {at_most} schemas")
        return [self._of(each, f"{place}/{number}", depth=depth + 1) for number, each in enumerate(value)]

    def _reference(self, value: Any, place: str, depth: int) -> Types:
        found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if found is None or found[1] not in self._definitions:
            raise self._refused(place, "it names no definition of this schema, as in #/$defs/name")
        return self._of_definition(found[1], place, depth=depth)

    def _of_definition(self, name: str, place: str, *, depth: int) -> Types:
        if name in self._open:
            raise self._refused(place, "recursive schemas are not supported")
        if name not in self._types:
            self._open.append(name)
            self._types[name] = self._of(self._definitions[name], place, depth=depth + 1)
            self._open.pop()
        return self._types[name]

    def _named(self, value: Any, place: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._refused(place, "it takes an object of schemas")
        return value

    def _refused(self, place: str, detail: str) -> SchemaRefusedError:
        return SchemaRefusedError(place=place[:200], detail=detail, param=self._param)


def _is_deeper(value: Any, levels: int) -> bool:
    """Return whether a JSON value has more levels of objects and lists; values of keywords are not schemas always."""
    level = [value]
    for _ in range(levels + 1):
        level = [part for each in level for part in _parts(each)]
    return bool(level)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _types_of(name: str, value: Any) -> Types:
    """Return the types that a valid keyword without schemas inside allows."""
    match name:
        case "type":
            names = value if isinstance(value, list) else [value]
            return frozenset("number" if each == "integer" else each for each in names)
        case "enum":
            return frozenset(map(_type_of, value))
        case "const":
            return frozenset({_type_of(value)})
        case "format":
            return frozenset({"string"})
    return _TYPES


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    kinds = ((str, "string"), (int | float, "number"), (list, "array"), (dict, "object"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")


def _is_bound(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and abs(value) <= _MAX_BOUND


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_ITEMS


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in _TYPES | {"integer"} for name in names)


def _is_enum(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_format(value: Any) -> bool:
    return isinstance(value, str) and value in _FORMATS


def _is_anything(_: Any) -> bool:
    return True


_PLAIN: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {
        **dict.fromkeys(_NOTES, _is_anything),
        **dict.fromkeys(_RANGES, _is_bound),
        "type": _is_type,
        "enum": _is_enum,
        "const": _is_anything,
        "required": _are_names,
        "format": _is_format,
        "minItems": _is_count,
        "maxItems": _is_count,
    }
)
"""Keywords without schemas inside, and whether a value of theirs is valid."""
