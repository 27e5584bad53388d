"""The instructions for an engine about an image: policies write them, and engines answer them."""

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class CategoryDefinition:
    """A category's definition in a model's prompt."""

    name: str
    means: str
    """What an image of the category shows."""
    not_meant: str = ""
    """What looks similar and does not count."""
    label: str | None = None
    """The one-token answer that stands for it; None takes the next free letter."""


@dataclass(frozen=True, slots=True)
class TextLimit:
    """The largest length of a free text."""

    most: int
    unit: Literal["characters", "words"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of tags: values of a fixed list, or a short free text."""

    name: str
    key: str
    """Stands for the name in the model's JSON: every character of it costs a step of generation."""
    asks: str
    values: tuple[str, ...] = ()
    """What may be answered; empty for a free text."""
    most: int = 1
    """How many values may be answered."""
    limit: TextLimit | None = None
    """Length limit of a free text."""


@dataclass(frozen=True, slots=True)
class AttributeSchema:
    """The attributes of tags."""

    name: str
    """Name of the schema with its version, such as `product/1`."""
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class FirstPassInstructions:
    """A cheaper pass before the full one, which the full one follows only where the cheaper one finds something."""

    clear_below: tuple[tuple[str, float], ...]
    """For each category the score that an image must stay below. An image is cleared if it does so in all of them."""
    vision_tokens: int
    """As in `ModelInstructions`."""
    engine: Literal["same", "smaller"] = "same"
    """What looks: the engine of the full pass, or the smaller one beside it."""


@dataclass(frozen=True, slots=True)
class ModelInstructions:
    """Everything that an engine gets besides the image and its caption; equal instructions share a prompt's cache."""

    categories: tuple[CategoryDefinition, ...]
    """Gravest first."""
    language: Language = "en"
    """Language of the definitions, explanations and tags."""
    attributes: AttributeSchema | None = None
    """What tags are asked for; None if none are."""
    vision_tokens: int = 256
    """How closely the image is looked at: one token sees 32 × 32 pixels."""
    follow_up_threshold: float = 0.05
    """While the categories' probabilities together stay below this, one generated token is all that is spent."""
    adapter: str | None = None
    """The LoRA adapter, by its name in the engine's settings."""
    first_pass: FirstPassInstructions | None = None
    """The pass before this one; None if every image gets the full pass at once. It changes no prompt."""
