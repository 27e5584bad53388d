"""A policy's first pass: a cheaper look that ends the judgement of what is plainly harmless."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from schemas.base import Score
from service.core.instructions import FirstPassInstructions
from service.policy.taxonomy import CHILD_SAFETY
from service.policy.words import Mistake, Part

FEW_VISION_TOKENS = 64
"""Of an image of 512 × 512 pixels they show half of each side, and cost a quarter."""

DEFAULT = "default"
"""The key for the categories that are not named beside it."""


def _by_category(value: object) -> object:
    """Return a single number as that of all categories."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {DEFAULT: value} if is_number else value


class FirstPass(Part):
    """A cheaper pass before the full one. It clears an image whose scores are all below its thresholds."""

    engine: Literal["same", "smaller"] = "same"
    """same: the engine of the full pass, with fewer vision tokens. smaller: the engine of the settings'
    `engine.first_pass`, such as a smaller model."""
    vision_tokens: Annotated[int, Field(ge=4, le=16384)] | None = None
    """How closely it looks. When not set, it is 64 for the same engine, and the policy's for a smaller one."""
    clear_below: Annotated[
        Mapping[str, Score], BeforeValidator(_by_category, json_schema_input_type=float | dict[str, float])
    ]
    """The scores that an image must stay below to be cleared: one for all categories, or one by category and one by the
    key `default` for the others. Neither of these covers child_safety, which needs an entry of its own. 0 clears
    nothing: both passes judge every image, so that their scores can be compared."""

    def instructions(self, categories: Mapping[str, float | None], vision_tokens: int) -> FirstPassInstructions:
        """Return the instructions for a policy with these categories and vision tokens.

        Each category has its lowest threshold, or None without one.
        """
        return FirstPassInstructions(
            clear_below=tuple(
                (name, self.clear_below.get(name, self.clear_below.get(DEFAULT, 0.0))) for name in categories
            ),
            vision_tokens=self.tokens(vision_tokens),
            engine=self.engine,
        )

    def tokens(self, vision_tokens: int) -> int:
        """Return the vision tokens of the first pass, given those of the full one."""
        few = min(FEW_VISION_TOKENS, vision_tokens) if self.engine == "same" else vision_tokens
        return few if self.vision_tokens is None else self.vision_tokens

    def mistakes(self, categories: Mapping[str, float | None], vision_tokens: int) -> Iterator[Mistake]:
        """Yield what is wrong with it in a policy with these categories and vision tokens.

        Each category has its lowest threshold, or None without one.
        """
        yield from self._token_mistakes(vision_tokens)
        for name in sorted(self.clear_below.keys() - categories.keys() - {DEFAULT}):
            yield ("clear_below", name), "the policy has no rule for this category"
        for name, lowest in categories.items():
            yield from self._category_mistakes(name, lowest)

    def _token_mistakes(self, vision_tokens: int) -> Iterator[Mistake]:
        tokens = self.tokens(vision_tokens)
        if self.engine == "same" and tokens >= vision_tokens:
            detail = f"the first pass would look with {tokens} vision tokens, and the full pass with {vision_tokens}"
            yield ("vision_tokens",), f"{detail}: it saves something only with fewer"
        elif tokens > vision_tokens:
            detail = f"the image is read once, for the {vision_tokens} vision tokens of the full pass"
            yield ("vision_tokens",), f"{detail}: the first pass can have no more"

    def _category_mistakes(self, name: str, lowest: float | None) -> Iterator[Mistake]:
        below = self.clear_below.get(name)
        if below is None and name == CHILD_SAFETY:
            detail = (
                f"{CHILD_SAFETY} has no entry of its own, and neither a single number nor {DEFAULT} covers it, so no"
            )
            more = (
                "image would be cleared: give it an entry if the first pass may clear images, or leave first_pass out"
            )
            yield ("clear_below",), f"{detail} {more}"
            return
        at = ("clear_below", name)
        if below is None:
            at, below = ("clear_below", DEFAULT), self.clear_below.get(DEFAULT)
        if below is None:
            yield ("clear_below",), f"neither {name} nor {DEFAULT} has an entry, so no image would be cleared"
        elif lowest is not None and below >= lowest:
            detail = f"{below:g} is not below the lowest threshold of {name} ({lowest:g})"
            yield at, f"{detail}: an image could be cleared that the policy has a rule for"
