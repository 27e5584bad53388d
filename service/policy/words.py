"""The kinds of text that policy files give to a language model."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

MAX_SENTENCE_CHARACTERS = 400
"""Every category's text stands in every prompt; a bundled one takes half of this."""
MAX_VALUE_CHARACTERS = 32
"""A value costs the model a step for each of its tokens."""


class Part(BaseModel):
    """A frozen part of a policy's files; an unknown name in it is an error, because it is a typing mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


Mistake = tuple[tuple[str, ...], str]
"""Where, from the field that is checked to the part at fault, and what is wrong there."""


def mistake(detail: str) -> PydanticCustomError:
    """Return the error for the field that is checked."""
    return PydanticCustomError("policy_mistake", "{detail}", {"detail": detail})


def mistakes(found: Iterable[Mistake]) -> ValidationError:
    """Return the error for parts of the field that is checked; each part is reported with its own line."""
    details = [InitErrorDetails(type=mistake(detail), loc=at, input=None) for at, detail in found]
    return ValidationError.from_exception_data("policy", details)


# Of the lists that prompts and JSON write values in, in both scripts.
_SEPARATORS = frozenset(',、"\\()\uff0c\uff08\uff09')


def _one_line(text: str) -> str:
    # Chat templates write their control tokens in angle brackets, and a prompt has one line for each entry.
    if any(character in "<>" or not character.isprintable() for character in text):
        raise mistake("a text for a model must not contain angle brackets, line breaks or control characters")
    return text


def _list_entry(text: str) -> str:
    if any(character in _SEPARATORS for character in text):
        raise mistake("values are listed in the prompt: commas, quotes, brackets and backslashes cannot be part of one")
    return text


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""Lower-case, as in JSON keys and metrics."""

Remark = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=MAX_SENTENCE_CHARACTERS), AfterValidator(_one_line)
]
"""One line of words, or none."""

Sentence = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_SENTENCE_CHARACTERS),
    AfterValidator(_one_line),
]
"""One line of words."""

Value = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_VALUE_CHARACTERS),
    AfterValidator(_one_line),
    AfterValidator(_list_entry),
]
"""What an attribute may be."""

Answer = Annotated[str, StringConstraints(pattern=r"^\w{1,16}$")]
"""A word that a model begins an answer with."""
