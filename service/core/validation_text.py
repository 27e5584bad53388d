"""The text of pydantic's errors: the only place where one becomes a message for users."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# pydantic puts these before what a validator says by raising ValueError or AssertionError.
_PREFIXES = ("Value error, ", "Assertion failed, ", "Invalid JSON: ")


# Their text names a class of the source, which a reader of the message does not know.
_NOT_AN_OBJECT = frozenset({"model_type", "model_attributes_type", "dataclass_type"})


def text_of(fault: "ErrorDetails") -> str:
    """Return what is wrong with one value."""
    if fault["type"] in _NOT_AN_OBJECT:
        return "Input should be an object with named fields"
    return without_prefix(fault["msg"])


def placed_text_of(fault: "ErrorDetails") -> str:
    """Return what is wrong with one value, after its place: `image.url: Input should be a valid string`."""
    place = ".".join(str(step) for step in fault["loc"])
    return f"{place}: {text_of(fault)}" if place else text_of(fault)


def without_prefix(message: str) -> str:
    """Return pydantic's message without the kind of the error before it; other text stays as it is."""
    for prefix in _PREFIXES:
        message = message.removeprefix(prefix)
    return message
