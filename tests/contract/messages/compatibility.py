"""Reports whether a changed JSON Schema breaks those who rely on the old one. Pure.

The service must go on accepting all that an old schema allowed its writers, and must not write anything that an old
schema did not promise its readers. Both are one question, asked in two directions: does the wider schema allow
everything that the narrower one allows?
"""

from collections.abc import Iterator
from typing import Any, Literal

Schema = dict[str, Any]

# They inform people and allow or forbid nothing.
_REMARKS = frozenset(
    {"$schema", "$id", "$defs", "title", "description", "default", "examples", "contentEncoding", "x-extensible-enum"}
)
_UPPER_BOUNDS = ("maximum", "maxLength", "maxItems", "maxProperties")
_LOWER_BOUNDS = ("minimum", "minLength", "minItems", "minProperties")
_RULES = ("pattern", "format")
_NESTED = ("items", "additionalProperties", "propertyNames")
_UNDERSTOOD = frozenset(
    {*_REMARKS, *_UPPER_BOUNDS, *_LOWER_BOUNDS, *_RULES, *_NESTED}
    | {"$ref", "type", "enum", "const", "required", "properties", "anyOf", "oneOf", "prefixItems"}
)


def breaking_changes(old: Schema, new: Schema, direction: Literal["input", "output"]) -> list[str]:
    """Return what breaks old writers of an input, or old readers of an output, one line a change.

    Raises `NotImplementedError` for a keyword it cannot judge, so that nothing passes unseen.
    """
    comparison = _Comparison(old, new) if direction == "input" else _Comparison(new, old)
    removed = _removed_fields(old, new)
    return sorted(set(removed) | set(comparison.excess(comparison.narrow, comparison.wide, "")))


class _Comparison:
    """Looks for what `narrow` allows and `wide` forbids."""

    def __init__(self, narrow: Schema, wide: Schema) -> None:
        self.narrow = narrow
        self.wide = wide

    def excess(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        """Yield each value space that only `narrow` allows."""
        narrow, wide = _resolve(narrow, self.narrow), _resolve(wide, self.wide)
        for schema in (narrow, wide):
            _refuse_unknown_keywords(schema, path)
        wide_options = _options(wide)
        for option in _options(narrow):
            problems = [list(self._option_excess(option, other, path)) for other in wide_options]
            if all(problems):
                # The closest candidate explains best what is wrong.
                yield from min(problems, key=len)

    def _option_excess(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        narrow, wide = _resolve(narrow, self.narrow), _resolve(wide, self.wide)
        for schema in (narrow, wide):
            _refuse_unknown_keywords(schema, path)
        yield from _type_excess(narrow, wide, path)
        yield from _value_excess(narrow, wide, path)
        yield from _bound_excess(narrow, wide, path)
        for field in sorted(set(wide.get("required", [])) - set(narrow.get("required", []))):
            yield f"{path}/{field}: required on one side only"
        for field, schema in narrow.get("properties", {}).items():
            if field in wide.get("properties", {}):
                yield from self.excess(schema, wide["properties"][field], f"{path}/{field}")
        for place, schema in enumerate(wide.get("prefixItems", [])):
            given = narrow.get("prefixItems", [])[place : place + 1] or [narrow.get("items", {})]
            yield from self.excess(given[0], schema, f"{path}/{place}")
        for keyword in _NESTED:
            if isinstance(wide.get(keyword), dict):
                yield from self.excess(narrow.get(keyword, {}), wide[keyword], f"{path}/{keyword}")


def _type_excess(narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
    ours, theirs = _types(narrow), _types(wide)
    if theirs is not None and (ours is None or not ours <= theirs):
        yield f"{path}: type {sorted(ours or {'any'})} against {sorted(theirs)}"


def _value_excess(narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
    ours, theirs = _values(narrow), _values(wide)
    if theirs is not None and (ours is None or not ours <= theirs):
        yield f"{path}: values {sorted(map(str, ours or {'any'}))} against {sorted(map(str, theirs))}"


def _bound_excess(narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
    for keyword in _UPPER_BOUNDS:
        if keyword in wide and narrow.get(keyword, float("inf")) > wide[keyword]:
            yield f"{path}: {keyword} {narrow.get(keyword)} against {wide[keyword]}"
    for keyword in _LOWER_BOUNDS:
        if keyword in wide and narrow.get(keyword, float("-inf")) < wide[keyword]:
            yield f"{path}: {keyword} {narrow.get(keyword)} against {wide[keyword]}"
    for keyword in _RULES:
        if keyword in wide and narrow.get(keyword) != wide[keyword]:
            yield f"{path}: {keyword} {narrow.get(keyword)} against {wide[keyword]}"
    if wide.get("additionalProperties") is False and narrow.get("additionalProperties") is not False:
        yield f"{path}: unknown fields are refused"


def _removed_fields(old: Schema, new: Schema) -> Iterator[str]:
    """A field that is gone is ignored on input and missed on output: both are silent, so both are reported."""
    new_fields = dict(_fields(new, new, ""))
    for path in dict(_fields(old, old, "")):
        if path not in new_fields:
            yield f"{path}: the field is gone"


def _fields(schema: Schema, root: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Yield every field at any depth by its path."""
    schema = _resolve(schema, root)
    for option in _options(schema):
        if option is not schema:
            yield from _fields(option, root, path)
    for field, nested in schema.get("properties", {}).items():
        yield f"{path}/{field}", nested
        yield from _fields(nested, root, f"{path}/{field}")
    for keyword in _NESTED:
        if isinstance(schema.get(keyword), dict):
            yield from _fields(schema[keyword], root, f"{path}/{keyword}")


def _resolve(schema: Schema, root: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].removeprefix("#/$defs/")
    resolved: Schema = root["$defs"][name] | {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
    return resolved


def _options(schema: Schema) -> list[Schema]:
    options: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return options


def _types(schema: Schema) -> set[str] | None:
    if "type" not in schema:
        return None
    types = schema["type"]
    found = {types} if isinstance(types, str) else set(types)
    return found | {"integer"} if "number" in found else found


def _values(schema: Schema) -> set[Any] | None:
    return {schema["const"]} if "const" in schema else set(schema["enum"]) if "enum" in schema else None


def _refuse_unknown_keywords(schema: Schema, path: str) -> None:
    unknown = set(schema) - _UNDERSTOOD
    if unknown:
        raise NotImplementedError(f"{path}: no rule for {sorted(unknown)}")
