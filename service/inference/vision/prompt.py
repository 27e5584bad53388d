"""Pure: the instructions, a caption and a question → the texts around an image.

What all images have in common stands before the image, so that a prefix cache holds it. Then come the image, the
caption, which is a stranger's, and last the question, so that nothing of the stranger's comes after it.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from service.core.instructions import Attribute, Language, ModelInstructions, TextLimit
from service.inference.vision.labels import LabelMap, label_map
from service.inference.vision.phrases import PHRASES, Phrases

MAX_CAPTION_BYTES = 1024
"""Largest caption in bytes of UTF-8. In the worst case each byte is a token, and all have to fit the context."""

_CUT = "…"
# No part of the phrases: a prompt's hash covers those, and stays as it is for sentences that have their full stop.
_FULL_STOPS: Mapping[Language, str] = MappingProxyType({"en": ".", "zh": "。"})
_SENTENCE_ENDS = (".", "!", "?", ":", "…", "。", "\uff01", "\uff1f", "\uff1a")
# What may stand behind a sentence's end: quotes and brackets of both scripts.
_CLOSING_MARKS = "\"')]\u201d\u2019»\uff09」』"
# Every control token of chat templates is written in angle brackets: without them none can be.
_WITHOUT_BRACKETS = str.maketrans("<>", "‹›")
# JSON leaves these line ends as they are.
_ESCAPED_LINE_ENDS = {ord(character): f"\\u{ord(character):04x}" for character in "\x85\u2028\u2029"}
_WHOLE_CHARACTERS = re.compile(r"(?:[^\\]|\\u[0-9a-f]{4}|\\[^u])*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A chat of two turns, with one image between its texts."""

    system: str
    """Before the image: the same for every image of the instructions."""
    question: str
    """After the image."""


@dataclass(frozen=True, slots=True)
class Prompter:
    """Writes the prompts for some instructions."""

    instructions: ModelInstructions
    labels: LabelMap
    system: str
    phrases: Phrases

    def which(self, caption: str | None) -> Prompt:
        """Return the prompt for the label of the category that fits best."""
        return self._prompt(caption, self.phrases.which)

    def rotated_which(self, places: int) -> Prompt:
        """Return the prompt of `which` with the lines of the categories moved up by a number of places.

        The labels stay where they are, so that each stands for what another one stands for in `which`.
        """
        return Prompt(_system(self.instructions, self.labels, self.phrases, places), self.phrases.which)

    def is_it(self, caption: str | None, category: str) -> Prompt:
        """Return the prompt for whether the image shows a category, yes or no."""
        phrases = self.phrases
        return self._prompt(caption, phrases.is_it.format(name=category, yes=phrases.yes, no=phrases.no))

    def why(self, caption: str | None, categories: Sequence[str]) -> Prompt:
        """Return the prompt for the evidence for categories."""
        return self._prompt(caption, self.phrases.why.format(names=", ".join(categories)))

    def describe(self, caption: str | None) -> Prompt:
        """Return the prompt for the attributes of tags."""
        return self._prompt(caption, self.phrases.describe)

    @property
    def hash(self) -> str:
        """SHA-256 of all prompts without the caption: equal hash, equal questions."""
        parts = [self.system, *(getattr(self.phrases, name) for name in Phrases.__slots__)]
        canonical = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def _prompt(self, caption: str | None, question: str) -> Prompt:
        if not caption:
            return Prompt(self.system, question)
        return Prompt(self.system, f"{self.phrases.caption.format(quoted=quote(caption))}\n{question}")


def prompter(instructions: ModelInstructions) -> Prompter:
    """Return the writer of the prompts; raise `LabelCollisionError` if two labels begin with the same token."""
    labels, phrases = label_map(instructions), PHRASES[instructions.language]
    return Prompter(instructions, labels, _system(instructions, labels, phrases), phrases)


def quote(caption: str) -> str:
    """Return an uploader's text as a bounded JSON string on one line, which cannot hold a control token."""
    # A character takes a byte at least, so that what lies behind cannot get in: only whether it is there counts.
    text = caption[: MAX_CAPTION_BYTES + 1].translate(_WITHOUT_BRACKETS).encode(errors="replace").decode()
    return f'"{_bounded(json.dumps(text, ensure_ascii=False)[1:-1].translate(_ESCAPED_LINE_ENDS))}"'


def _bounded(escaped: str) -> str:
    """Cut a JSON string's content at the limit, between characters: escapes count as they are written."""
    data = escaped.encode()
    if len(data) <= MAX_CAPTION_BYTES:
        return escaped
    (whole, *_) = _WHOLE_CHARACTERS.findall(data[:MAX_CAPTION_BYTES].decode(errors="ignore"))
    return f"{whole}{_CUT}"


def _system(instructions: ModelInstructions, labels: LabelMap, phrases: Phrases, rotation: int = 0) -> str:
    contents = [phrases.none_of_them, *_contents(instructions, phrases)]
    rotated = [*contents[rotation:], *contents[:rotation]]
    categories = (f"{label}: {content}" for label, content in zip(labels, rotated, strict=True))
    return "\n".join([phrases.role, phrases.categories, *categories, *_attributes(instructions, phrases)])


def _contents(instructions: ModelInstructions, phrases: Phrases) -> Iterable[str]:
    """Yield the line of each category, without its label."""
    for category in instructions.categories:
        text = category.means
        if category.not_meant:
            text = f"{_ended(text, instructions.language)}{phrases.not_meant.format(text=category.not_meant)}"
        yield f"{category.name}: {text}"


def _ended(sentence: str, language: Language) -> str:
    """Return a sentence with a full stop, so that the next one is no part of it."""
    is_ended = not sentence or sentence.rstrip(_CLOSING_MARKS).endswith(_SENTENCE_ENDS)
    return sentence if is_ended else f"{sentence}{_FULL_STOPS[language]}"


def _attributes(instructions: ModelInstructions, phrases: Phrases) -> Iterable[str]:
    if instructions.attributes is None:
        return
    yield phrases.attributes
    for attribute in instructions.attributes.attributes:
        yield f"{attribute.key}: {attribute.asks} ({_choice(attribute, phrases)})"


def _choice(attribute: Attribute, phrases: Phrases) -> str:
    if attribute.limit is not None:
        return _limit(attribute.limit, phrases)
    choice = phrases.one_of if attribute.most == 1 else phrases.some_of
    return choice.format(most=attribute.most, values=", ".join(attribute.values))


def _limit(limit: TextLimit, phrases: Phrases) -> str:
    phrase = phrases.words if limit.unit == "words" else phrases.characters
    return phrase.format(most=limit.most)
