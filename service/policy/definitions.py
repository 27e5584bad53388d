"""The category definitions in a language model's prompt: bundled texts in every language, and a policy's own."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from pydantic import RootModel

from service.core.documents import check_document
from service.core.instructions import CategoryDefinition, Language
from service.policy.errors import PolicyFileError
from service.policy.taxonomy import BY_NAME, NAMES
from service.policy.words import Answer, Mistake, Part, Remark, Sentence

# How own categories are written in scores, metrics and prompts: as the taxonomy's are.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
# Engines' word for an image that no category fits.
_RESERVED = "none"


class Definition(Part):
    """A category in words.

    Parts that a policy leaves out of a taxonomy category are those of the bundled definition.
    """

    means: Sentence | None = None
    """What an image of the category shows."""
    not_meant: Remark | None = None
    """What looks similar and does not count; an empty text says that everything counts."""
    label: Answer | None = None
    """The one-token answer that stands for the category; the next free letter when not set."""


class _Definitions(RootModel[Mapping[str, Definition]]):
    """A file of bundled definitions."""


# The files are part of the package and never change; a service may have thousands of policies.
@cache
def bundled_definitions(language: Language) -> Mapping[str, Definition]:
    """Return the definitions of the taxonomy's categories in a language."""
    path = Path(str(files("service.policy").joinpath("definitions", f"{language}.yaml")))
    return MappingProxyType(dict(check_document(path, _Definitions, PolicyFileError).result().root))


def defined(name: str, own: Definition | None, language: Language) -> CategoryDefinition:
    """Return a category's definition for the prompt: the policy's parts, and the bundled ones for the others."""
    own, bundled = own or Definition(), bundled_definitions(language).get(name, Definition())
    return CategoryDefinition(
        name=name,
        means=own.means or bundled.means or "",
        not_meant=(bundled.not_meant or "") if own.not_meant is None else own.not_meant,
        label=own.label,
    )


def mistakes_of(definitions: Mapping[str, Definition | None]) -> Iterator[Mistake]:
    """Yield the mistakes in the names, definitions and labels of a policy's categories."""
    owners: dict[str, str] = {}
    for name, definition in definitions.items():
        if name not in BY_NAME:
            yield from _own(name, definition)
        if definition is not None and definition.label is not None:
            first = owners.setdefault(definition.label, name)
            if first != name:
                at = (name, "definition", "label")
                yield at, f"{first} and {name} have the same label {definition.label!r}"


def _own(name: str, definition: Definition | None) -> Iterator[Mistake]:
    if definition is None:
        known = ", ".join(NAMES)
        yield (name,), f"unknown category; known are {known}; one of your own needs a definition"
    elif definition.means is None:
        yield (name, "definition"), "a category of your own needs words for what it means"
    if name == _RESERVED or not _NAME.fullmatch(name):
        rule = "names are of a-z, 0-9 and _, begin with a letter, and none is taken"
        yield (name,), f"{name!r} cannot be a category: {rule}"
