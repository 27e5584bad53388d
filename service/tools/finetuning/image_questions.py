"""Pure: what an engine is asked about a labelled image, with the right answers."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from service.core.instructions import Attribute
from service.inference.vision.labels import NONE
from service.inference.vision.prompt import Prompter
from service.tools.finetuning.examples import Kind, Split

NEGATIVES = 2
"""Yes/no questions of an image whose answer is no: the hardest ones of those that are known."""

_HARD_SCORE = 0.1
"""A category that a stored verdict gave this score, and that the image does not show, is a hard negative."""

_CONFUSED = 0.05
"""Mean score of a category that is not there, from which it counts as confused with what is."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image of the prepared folder, with what is known of it."""

    image: str
    """Its file, relative to the folder."""
    image_id: str
    sha256: str
    """Of the uploaded file."""
    group: str
    split: Split
    shown: frozenset[str]
    """Categories that it shows."""
    absent: frozenset[str]
    """Categories that it is known not to show."""
    is_harmless: bool
    """Whether it is known to show no category at all."""
    caption: str | None = None
    tags: Mapping[str, frozenset[str]] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    """What a stored verdict says; empty without one."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question about an image, with its answer."""

    kind: Kind
    text: str
    targets: Mapping[str, float] = field(default_factory=dict)
    answer: str = ""
    balanced_as: tuple[str, ...] = ()
    """What the weights balance: the categories of the list's answer, or a category with its yes or no."""


@dataclass(frozen=True, slots=True)
class QuestionWriter:
    """Writes the questions that a prompter asks about an image."""

    prompter: Prompter
    confusable: Mapping[str, Sequence[str]] = field(default_factory=lambda: MappingProxyType({}))
    """By category, or `none`: what verdicts take it for, the most frequent first."""

    def questions(self, image: LabelledImage) -> Iterator[Question]:
        """Yield the list question, yes/no questions, and the attributes, each where its answer is known."""
        if (which := self._which(image)) is not None:
            yield which
        for category in self._in_order(image.shown):
            yield self._is_it(image, category, is_shown=True)
        for category in self._negatives(image):
            yield self._is_it(image, category, is_shown=False)
        if (answer := self._tags(image)) is not None:
            yield Question("describe", self.prompter.describe(image.caption).question, answer=answer)

    def _which(self, image: LabelledImage) -> Question | None:
        shown = self._in_order(image.shown) or ((NONE,) if image.is_harmless else ())
        if not shown:
            return None
        labels = {category: label for label, category in self.prompter.labels.items()}
        targets = {labels[category]: 1.0 / len(shown) for category in shown}
        return Question("which", self.prompter.which(image.caption).question, targets, balanced_as=shown)

    def _is_it(self, image: LabelledImage, category: str, *, is_shown: bool) -> Question:
        phrases = self.prompter.phrases
        word = phrases.yes if is_shown else phrases.no
        text = self.prompter.is_it(image.caption, category).question
        return Question("is_it", text, {word: 1.0}, balanced_as=(f"{category}/{'yes' if is_shown else 'no'}",))

    def _negatives(self, image: LabelledImage) -> Sequence[str]:
        """Return absent categories: those that a verdict saw, then those that are confused, then others by chance."""
        absent = set(self._in_order(image.absent))
        scored = [name for name in absent if image.scores.get(name, 0.0) >= _HARD_SCORE]
        seen = sorted(scored, key=lambda name: (-image.scores[name], name))
        confused = [name for shown in self._in_order(image.shown) or (NONE,) for name in self.confusable.get(shown, ())]
        others = sorted(absent, key=lambda name: hashlib.sha256(f"{image.sha256}/{name}".encode()).digest())
        ordered = dict.fromkeys(name for name in (*seen, *confused, *others) if name in absent)
        return [*ordered][:NEGATIVES]

    def _in_order(self, names: frozenset[str]) -> tuple[str, ...]:
        """Return categories of the instructions, gravest first."""
        return tuple(each.name for each in self.prompter.instructions.categories if each.name in names)

    def _tags(self, image: LabelledImage) -> str | None:
        """Return the attributes as the model writes them; None unless the values of all are known and valid."""
        schema = self.prompter.instructions.attributes
        if schema is None or not image.tags:
            return None
        values = {each.key: _value(each, image.tags.get(each.name)) for each in schema.attributes}
        if any(value is None for value in values.values()):
            return None
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _value(attribute: Attribute, found: frozenset[str] | None) -> str | list[str] | None:
    """Return an attribute's value as JSON, in the order of the schema's list; None if it is unknown or invalid."""
    if found is None or len(found) > attribute.most or (attribute.values and not found <= {*attribute.values}):
        return None
    ordered = [each for each in attribute.values if each in found] if attribute.values else sorted(found)
    if attribute.values and attribute.most > 1:
        return ordered
    return ordered[0] if ordered else None


def confusable(images: Iterable[LabelledImage]) -> Mapping[str, Sequence[str]]:
    """Return by category, or `none`, the absent categories that stored verdicts give the highest mean scores."""
    sums: dict[str, dict[str, float]] = {}
    counts: dict[str, int] = {}
    for image in images:
        for shown in (image.shown or {NONE}) if image.scores else ():
            counts[shown] = counts.get(shown, 0) + 1
            of = sums.setdefault(shown, {})
            for name in image.absent:
                of[name] = of.get(name, 0.0) + image.scores.get(name, 0.0)
    return {shown: _confused(of, counts[shown]) for shown, of in sums.items()}


def _confused(sums: Mapping[str, float], images: int) -> Sequence[str]:
    ordered = sorted(sums, key=lambda name: (-sums[name], name))
    return [name for name in ordered if sums[name] / images >= _CONFUSED]
