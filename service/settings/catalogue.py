"""Every setting as a row: its dotted name, what it may hold, its default and its description.

Derived from the declarations in `service.settings`, so that errors, help and documentation cannot disagree with them.
"""

import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from service.settings.settings import Settings

ENVIRONMENT_PREFIX = "MODSTREAM_"
NESTING = "__"


class Shape(StrEnum):
    """How a value is written where only text is available, as in the environment."""

    SCALAR = "scalar"
    LIST = "list"
    MAP = "map"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting."""

    path: str
    """Dotted, such as `kafka.group_id`."""
    allowed: str
    """What it may hold, in words."""
    default: object
    description: str
    shape: Shape
    secret: bool

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return ENVIRONMENT_PREFIX + self.path.replace(".", NESTING).upper()


@dataclass(frozen=True, slots=True)
class SettingGroup:
    """A group of settings, in the order in which they are declared."""

    path: str
    """Dotted; empty for the outermost."""
    description: str
    settings: tuple[Setting, ...]


def groups(model: type[BaseModel] = Settings, path: str = "") -> Iterator[SettingGroup]:
    """Yield a group and those inside it, outermost first."""
    prefix = f"{path}." if path else ""
    fields = model.model_fields.items()
    own = tuple(_setting(prefix + name, field) for name, field in fields if group_model(field) is None)
    yield SettingGroup(path=path, description=(model.__doc__ or "").strip(), settings=own)
    for name, field in fields:
        if (inner := group_model(field)) is not None:
            yield from groups(inner, prefix + name)


def catalogue() -> dict[str, Setting]:
    """Return every setting by its dotted name."""
    return {setting.path: setting for group in groups() for setting in group.settings}


def group_model(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a field that holds a group, None for a single setting."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _setting(path: str, field: FieldInfo) -> Setting:
    return Setting(
        path=path,
        allowed=_allowed(field.annotation, field.metadata),
        default=field.default,
        description=" ".join((field.description or "").split()),
        shape=_SHAPES.get(get_origin(field.annotation), Shape.SCALAR),
        secret=SecretStr in (field.annotation, *get_args(field.annotation)),
    )


def _allowed(annotation: Any, metadata: list[Any]) -> str:
    """Describe a type with its bounds in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _allowed(arguments[0], [limit for entry in arguments[1:] for limit in _limits(entry)])
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if origin in (Union, types.UnionType):
        kinds = [_allowed(argument, metadata) for argument in arguments if argument is not type(None)]
        return " or ".join([*kinds, "nothing"])
    if origin is tuple:
        return f"a list, each {_allowed(arguments[0], [])}"
    if origin is dict:
        return "a map of names to values"
    words = _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))
    return " ".join([words, *_bounds(metadata)])


def _limits(entry: Any) -> list[Any]:
    """Return what an entry of `Annotated` says: a `Field` holds its limits inside."""
    return entry.metadata if isinstance(entry, FieldInfo) else [entry]


_SHAPES: dict[Any, Shape] = {tuple: Shape.LIST, dict: Shape.MAP}

_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    SecretStr: "text (secret)",
    Path: "a path",
}


def _bounds(metadata: list[Any]) -> Iterator[str]:
    """Yield the limits of a number or text, joined by 'and' where there are two."""
    words = {Gt: ("gt", "above"), Ge: ("ge", "of at least"), Lt: ("lt", "below"), Le: ("le", "up to")}
    found = []
    for bound in metadata:
        if isinstance(bound, MinLen):
            found.append("that is not empty" if bound.min_length == 1 else f"of {bound.min_length} characters or more")
        elif type(bound) in words:
            attribute, word = words[type(bound)]
            limit = getattr(bound, attribute)
            found.append(f"{word} {limit if isinstance(limit, int) else f'{limit:g}'}")
    if found:
        yield " and ".join(found)
