"""Attribute schemas as files: the attributes of tags, their values, and their lengths."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from service.core.documents import check_document
from service.core.instructions import Attribute, AttributeSchema, Language, TextLimit
from service.policy.errors import PolicyFileError
from service.policy.words import Name, Part, Sentence, Value, mistake, mistakes

BundledSchema = Literal["product"]
"""The schemas inside the package, each in every language."""

MAX_ATTRIBUTES = 16
"""Each one's question stands in every prompt, and each answer costs several steps of generation."""
MAX_VALUES = 64
MAX_TEXT = 100
"""Words or characters of a free text: a tag, not an essay."""


class Limit(Part):
    """The largest length of a free text."""

    most: Annotated[int, Field(ge=1, le=MAX_TEXT)]
    unit: Literal["characters", "words"]
    """Words where a language writes spaces between them, characters elsewhere."""


class Question(Part):
    """One attribute: values from a list, or a short free text."""

    key: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,7}$")]
    """Stands for the name in the model's JSON; one letter is the quickest."""
    asks: Sentence
    """What the model is asked for."""
    values: Annotated[tuple[Value, ...], Field(max_length=MAX_VALUES)] = ()
    """What may be answered; empty for a free text."""
    most: Annotated[int, Field(ge=1)] = 1
    """How many of the values may be answered."""
    limit: Limit | None = None
    """Length limit of a free text."""

    @field_validator("values")
    @classmethod
    def _differ(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in _repeated(values):
            raise mistake(f"{value!r} stands there twice")
        return values

    @model_validator(mode="after")
    def _is_a_choice_or_a_text(self) -> Self:
        if bool(self.values) == (self.limit is not None):
            raise mistake("give values to choose from, or the limit of a free text: one of the two")
        if self.most > max(1, len(self.values)):
            raise mistakes([(("most",), f"{self.most} values may be answered, and there are {len(self.values)}")])
        return self


class AttributeFile(Part):
    """A schema of attributes as in its file."""

    name: Name
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]{1,32}$")]
    """Readers of tags distinguish schemas by name and version: a changed meaning is a new version."""
    attributes: Annotated[Mapping[Name, Question], Field(min_length=1, max_length=MAX_ATTRIBUTES)]
    """Questions by the attribute's name in outcomes, in the order in which they are asked."""

    @field_validator("attributes")
    @classmethod
    def _keys_differ(cls, attributes: Mapping[str, Question]) -> Mapping[str, Question]:
        for key in _repeated(question.key for question in attributes.values()):
            second = [name for name, question in attributes.items() if question.key == key][1]
            raise mistakes([((second, "key"), f"two attributes have the key {key!r}")])
        return attributes

    def as_schema(self) -> AttributeSchema:
        """Return the schema as an engine takes it."""
        attributes = (_attribute(name, question) for name, question in self.attributes.items())
        return AttributeSchema(f"{self.name}/{self.version}", tuple(attributes))


# As with definitions: the files never change, and every policy asks.
@cache
def bundled_schema(name: BundledSchema, language: Language) -> AttributeSchema:
    """Return a schema of the package in a language, `en` or `zh`."""
    path = files("service.policy").joinpath("attributes", f"{name}.{language}.yaml")
    return check_document(Path(str(path)), AttributeFile, PolicyFileError).result().as_schema()


def _attribute(name: str, question: Question) -> Attribute:
    limit = None if question.limit is None else TextLimit(question.limit.most, question.limit.unit)
    return Attribute(name, question.key, question.asks, question.values, question.most, limit)


def _repeated(entries: Iterable[str]) -> list[str]:
    return [entry for entry, count in Counter(entries).items() if count > 1]
