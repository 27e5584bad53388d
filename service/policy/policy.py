"""A policy: named, versioned bars that turn scores into decisions."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.base import Decision, Identifier, Score
from service.brief import Brief, CategoryDefinition, Language
from service.policy.taxonomy import BY_NAME, CHILD_SAFETY, NAMES

# A policy that is less than even sure may not let the gravest category pass.
MAX_CHILD_SAFETY_REVIEW = 0.5


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class CategoryRule(_Part):
    """The bars of one category: a score at or over a bar calls for what the bar is named after."""

    label: Score | None = None
    """Named among the reasons, and allowed."""
    review: Score | None = None
    block: Score | None = None

    @model_validator(mode="after")
    def _bars_ascend(self) -> Self:
        bars = [(name, bar) for name, bar in self if bar is not None]
        for (lower, low), (higher, high) in pairwise(bars):
            if low > high:
                raise ValueError(f"the bar for {lower} ({low}) is above the bar for {higher} ({high})")
        return self


class Policy(_Part):
    """The rules of one tenant or kind of image; a category without a rule never speaks against an image."""

    name: Identifier
    version: Annotated[str, Field(min_length=1, max_length=64)]
    description: str = ""
    """For people; no part of the rules."""
    tenants: tuple[Identifier, ...] = ()
    """Whose events it is for when they name no policy."""
    language: Language = "en"
    """Of what a language model is told, and of its words."""
    adapter: str | None = None
    """The LoRA adapter, by its name in the engine's settings."""
    vision_tokens: Annotated[int, Field(ge=4, le=16384)] = 256
    """How closely images are looked at: one token sees 32 × 32 pixels. Documents with small print need more."""
    when_not_moderated: Decision = "review"
    """The precaution for an image that no model judged; the verdict's status says so whatever stands here."""
    categories: Mapping[str, CategoryRule]

    @field_validator("categories")
    @classmethod
    def _known(cls, categories: Mapping[str, CategoryRule]) -> Mapping[str, CategoryRule]:
        unknown = sorted(set(categories) - set(NAMES))
        if unknown:
            raise ValueError(f"unknown categories: {', '.join(unknown)}; known are {', '.join(NAMES)}")
        return categories

    @field_validator("categories")
    @classmethod
    def _never_lets_child_safety_pass(cls, categories: Mapping[str, CategoryRule]) -> Mapping[str, CategoryRule]:
        bar = categories.get(CHILD_SAFETY, CategoryRule()).review
        if bar is None or bar > MAX_CHILD_SAFETY_REVIEW:
            raise ValueError(f"{CHILD_SAFETY} needs a bar for review of at most {MAX_CHILD_SAFETY_REVIEW}")
        return categories

    @cached_property
    def brief(self) -> Brief:
        """What an engine is asked: the policy's categories, in the taxonomy's order."""
        return Brief(
            categories=tuple(
                CategoryDefinition(name, BY_NAME[name].description) for name in NAMES if name in self.categories
            ),
            language=self.language,
            vision_tokens=self.vision_tokens,
            adapter=self.adapter,
        )

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the rules as canonical JSON, without name, version and description: equal hash, equal rules."""
        rules = {name: rule.model_dump(exclude_none=True) for name, rule in self.categories.items()}
        told = {name: rule for name, rule in rules.items() if rule}
        content = {"when_not_moderated": self.when_not_moderated, "categories": told}
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
