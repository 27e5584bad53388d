"""A policy: named, versioned thresholds that turn scores into decisions, and the instructions for a language model."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, InstanceOf, WithJsonSchema, field_validator, model_validator

from schemas.base import Decision, Identifier, Score
from service.core.ambiguity import FEATURES, Feature
from service.core.instructions import AttributeSchema, FirstPassInstructions, Language, ModelInstructions
from service.policy.attribute_file import BundledSchema, bundled_schema
from service.policy.definitions import Definition, defined, mistakes_of
from service.policy.first_pass import FirstPass
from service.policy.taxonomy import CHILD_SAFETY, NAMES
from service.policy.words import Part, mistake, mistakes

# A policy that is less than even sure may not let the gravest category pass.
MAX_CHILD_SAFETY_REVIEW = 0.5

# About what a model leaves to all categories together when an image shows nothing. Below it every image would get
# follow-up questions.
MIN_FOLLOW_UP_THRESHOLD = 0.001
# The list of categories is exclusive: two of them in one image share what is theirs, so that one may have only half.
SHARE_OF_THE_LOWEST_THRESHOLD = 0.5


OUTCOMES = ("label", "review", "block")
"""What a score may call for, the mildest first."""


class CategoryRule(Part):
    """The thresholds of one category. A score at or above a threshold has the outcome of that name."""

    label: Score | None = None
    """Named among the reasons, and allowed."""
    review: Score | None = None
    block: Score | None = None
    frames: Annotated[int, Field(ge=1, le=4)] = 1
    """Frames of an animated image that have to reach a threshold: 1 lets the worst frame decide, 2 asks for a second
    one that agrees. An image with fewer judged frames needs all of them."""
    definition: Definition | None = None
    """Its definition in a language model's prompt: required for a category of your own. Parts that it leaves out are
    those of the bundled definition."""

    def thresholds(self) -> Iterator[tuple[str, float]]:
        """Yield the thresholds that are set, each with the name of its outcome, the mildest first."""
        for name in OUTCOMES:
            threshold: float | None = getattr(self, name)
            if threshold is not None:
                yield name, threshold

    @model_validator(mode="after")
    def _thresholds_ascend(self) -> Self:
        for (lower, low), (higher, high) in pairwise(self.thresholds()):
            if low > high:
                raise mistake(f"the threshold for {lower} ({low}) is above the threshold for {higher} ({high})")
        return self


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


AMBIGUOUS_DEFAULT = "default"
"""The key for the features that are not named beside it."""
_REVIEW_AMBIGUITY: Mapping[str, Decision] = {AMBIGUOUS_DEFAULT: "review"}


def _by_feature(value: Any) -> Any:
    """Return a single decision as that on every feature."""
    if isinstance(value, str):
        return {AMBIGUOUS_DEFAULT: value}
    return {**_REVIEW_AMBIGUITY, **value} if isinstance(value, Mapping) else value


class Policy(Part):
    """The rules of one tenant or kind of image. A category without a rule is not judged and never counts."""

    name: Identifier
    version: Annotated[str, Field(min_length=1, max_length=64)]
    description: str = ""
    """Description for readers of the file. It is not part of the rules."""
    tenants: Annotated[
        tuple[Identifier, ...],
        BeforeValidator(_listed, json_schema_input_type=Identifier | tuple[Identifier, ...]),
    ] = ()
    """Whose events it is for when they name no policy; a single one may stand without brackets."""
    language: Language = "en"
    """The language of the prompt and of the model's texts: bundled definitions, reasons and tags."""
    adapter: str | None = None
    """The LoRA adapter, by its name in the engine's settings."""
    vision_tokens: Annotated[int, Field(ge=4, le=16384)] = 256
    """How closely images are looked at: one token sees 32 × 32 pixels. Documents with small print need more."""
    attributes: Annotated[
        BundledSchema | InstanceOf[AttributeSchema] | None, WithJsonSchema({"type": ["string", "null"]})
    ] = "product"
    """The attribute schema of tags: a bundled one, or a file beside the policy; null asks for no tags."""
    when_not_moderated: Decision = "review"
    """The precaution for an image that no model judged; the verdict's status says so whatever stands here."""
    ambiguous: Annotated[
        Mapping[str, Decision],
        BeforeValidator(_by_feature, json_schema_input_type=Decision | dict[Feature | Literal["default"], Decision]),
    ] = _REVIEW_AMBIGUITY
    """The decision on an image that viewers may show otherwise than it was judged: one for all features, or one by
    feature and one by the key `default` for the others. A label or nothing is `allow`."""
    first_pass: FirstPass | None = None
    """A cheaper pass that ends the judgement of what is plainly harmless; null gives every image the full pass. It is
    not part of the rules: what it clears is below every threshold."""
    categories: Mapping[str, CategoryRule]
    """Rules by category. Categories that are not in the taxonomy are the policy's own and need a definition."""

    @field_validator("ambiguous")
    @classmethod
    def _are_known(cls, ambiguous: Mapping[str, Decision]) -> Mapping[str, Decision]:
        known = (AMBIGUOUS_DEFAULT, *FEATURES)
        unknown = sorted(ambiguous.keys() - {*known})
        if unknown:
            raise mistakes(((name,), f"no feature has this name; known are {', '.join(known)}") for name in unknown)
        return ambiguous

    @field_validator("categories")
    @classmethod
    def _are_usable(cls, categories: Mapping[str, CategoryRule]) -> Mapping[str, CategoryRule]:
        found = [*mistakes_of({name: rule.definition for name, rule in categories.items()})]
        gravest = categories.get(CHILD_SAFETY, CategoryRule())
        threshold = gravest.review
        if threshold is None or threshold > MAX_CHILD_SAFETY_REVIEW:
            message = f"{CHILD_SAFETY} needs a threshold for review of at most {MAX_CHILD_SAFETY_REVIEW}"
            found.append(((CHILD_SAFETY,), message))
        if gravest.frames != 1:
            found.append(((CHILD_SAFETY, "frames"), f"the worst frame decides about {CHILD_SAFETY}: frames must be 1"))
        if found:
            raise mistakes(found)
        return categories

    @model_validator(mode="after")
    def _first_pass_fits(self) -> Self:
        if self.first_pass is not None:
            found = [*self.first_pass.mistakes(self._lowest_thresholds(), self.vision_tokens)]
            if found:
                raise mistakes((("first_pass", *at), detail) for at, detail in found)
        return self

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All categories in this policy's verdicts: the taxonomy's, then the policy's own in the file's order."""
        return tuple(dict.fromkeys((*NAMES, *self.categories)))

    @cached_property
    def instructions(self) -> ModelInstructions:
        """The instructions for a language model: definitions, language, attributes, adapter, vision tokens."""
        asked = [name for name in self.names if name in self.categories]
        return ModelInstructions(
            categories=tuple(defined(name, self.categories[name].definition, self.language) for name in asked),
            language=self.language,
            attributes=self._attribute_schema(),
            vision_tokens=self.vision_tokens,
            follow_up_threshold=self._follow_up_threshold(),
            adapter=self.adapter,
            first_pass=self._first_pass(),
        )

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the rules as canonical JSON: equal hash, equal decisions for equal scores.

        Name, version and description are no part of it, and neither is what an engine is asked, which scores depend on
        and decisions do not: a verdict's prompt hash, adapter and preprocessing identify those.
        """
        rules: dict[str, dict[str, float]] = {name: dict(rule.thresholds()) for name, rule in self.categories.items()}
        given = {name: thresholds for name, thresholds in rules.items() if thresholds}
        for name, thresholds in given.items():
            if self.categories[name].frames != 1:
                thresholds["frames"] = self.categories[name].frames
        content: dict[str, Any] = {"when_not_moderated": self.when_not_moderated, "categories": given}
        # Left out where it is the default, so that policies from before the key keep their hash.
        if (ambiguous := self._ambiguous_rules()) != _REVIEW_AMBIGUITY:
            content["ambiguous"] = ambiguous
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def clears(self, scores: Mapping[str, float]) -> bool:
        """Return whether this policy's first pass would clear an image with these scores of a first pass."""
        rule = self.instructions.first_pass
        return rule is not None and all(scores.get(name, 1.0) < below for name, below in rule.clear_below)

    def decision_on(self, feature: str) -> Decision:
        """Return the decision on an image that has a feature which viewers may show otherwise."""
        return self.ambiguous.get(feature, self.ambiguous[AMBIGUOUS_DEFAULT])

    def _ambiguous_rules(self) -> Mapping[str, Decision]:
        """Return the decision by default, and those that differ from it."""
        default = self.ambiguous[AMBIGUOUS_DEFAULT]
        others = {name: decision for name, decision in self.ambiguous.items() if decision != default}
        return {AMBIGUOUS_DEFAULT: default, **others}

    def _attribute_schema(self) -> AttributeSchema | None:
        return bundled_schema(self.attributes, self.language) if isinstance(self.attributes, str) else self.attributes

    def _first_pass(self) -> FirstPassInstructions | None:
        if self.first_pass is None:
            return None
        return self.first_pass.instructions(self._lowest_thresholds(), self.vision_tokens)

    def _lowest_thresholds(self) -> Mapping[str, float | None]:
        """Return the lowest threshold of each category with a rule; None for a rule without one."""
        return {
            name: min((each for _, each in rule.thresholds()), default=None) for name, rule in self.categories.items()
        }

    def _follow_up_threshold(self) -> float:
        """Return half of the lowest threshold: an image below it after one token reaches none.

        Thresholds for labels count as well: a category that a verdict names gets a question of its own.
        """
        lowest = min(threshold for rule in self.categories.values() for _, threshold in rule.thresholds())
        return max(MIN_FOLLOW_UP_THRESHOLD, lowest * SHARE_OF_THE_LOWEST_THRESHOLD)
