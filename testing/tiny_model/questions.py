"""Questions about drawn images as token ids, with their right answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerFast

from service.core.instructions import ModelInstructions
from service.inference.vision.prompt import Prompt, prompter
from testing.tiny_model.answers import categories, right_labels, tags_text, why_text, yes_or_no
from testing.tiny_model.captions import random_caption
from testing.tiny_model.scenes import Scene
from testing.tiny_model.shapes import HARMFUL

_END = "<|im_end|>"
# Every character of JSON is a target of its own: without this the one token that decides would be a trifle beside them.
_TEXT_WEIGHT = 0.35
# Of images, because texts are long and cost most of the time; of texts; and of yes/no questions about harmful images.
_TEXT_SHARE = 0.75
_TAGS_SHARE = 0.75
_SHOWN_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Target:
    """A token that is right after a prompt's and an answer's first tokens."""

    place: int
    """Of the token that it follows, in the row."""
    token: int
    weight: float


@dataclass(frozen=True, slots=True)
class Row:
    """What stands after an image: question, answer, and what is to be learnt of it."""

    ids: tuple[int, ...]
    targets: tuple[Target, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Questions:
    """Writes the questions of one instructions."""

    tokenizer: PreTrainedTokenizerFast
    instructions: ModelInstructions

    @property
    def prefix(self) -> list[int]:
        """What stands before every image."""
        system = prompter(self.instructions).system
        return self._ids(f"<|im_start|>system\n{system}{_END}\n<|im_start|>user\n<|vision_start|>")

    def about(self, scene: Scene, rng: np.random.Generator) -> Iterator[Row]:
        """Ask everything that is asked of an image, each with a caption of its own."""
        writer = prompter(self.instructions)
        yield self._which(writer.which(random_caption(rng)), right_labels(scene, self.instructions))
        category = self._category(scene, rng)
        answer = yes_or_no(scene, self.instructions, category)
        yield self._spoken(writer.is_it(random_caption(rng), category), answer, "is_it")
        if rng.random() < _TEXT_SHARE:
            yield self._text(scene, rng)

    def _text(self, scene: Scene, rng: np.random.Generator) -> Row:
        writer, caption = prompter(self.instructions), random_caption(rng)
        if self.instructions.attributes is not None and rng.random() < _TAGS_SHARE:
            return self._spoken(writer.describe(caption), tags_text(scene, self.instructions), "describe")
        asked = self._some_categories(scene, rng)
        return self._spoken(writer.why(caption, asked), why_text(scene, self.instructions, asked), "why")

    def _category(self, scene: Scene, rng: np.random.Generator) -> str:
        shown = categories(scene, self.instructions)
        names = shown if shown and rng.random() < _SHOWN_SHARE else tuple(HARMFUL)
        return str(rng.choice(names))

    def _some_categories(self, scene: Scene, rng: np.random.Generator) -> Sequence[str]:
        shown = [name for name in categories(scene, self.instructions) if rng.random() < 0.9]
        others = [str(name) for name in rng.choice(list(HARMFUL), 1 if shown else 2) if name not in shown]
        asked = list(dict.fromkeys([*shown, *others[: int(rng.integers(0 if shown else 1, 2))]]))
        rng.shuffle(asked)
        return asked

    def _which(self, prompt: Prompt, labels: Sequence[str]) -> Row:
        ids = self._asked(prompt)
        tokens = [self._ids(label)[0] for label in labels]
        targets = tuple(Target(len(ids) - 1, token, 1 / len(tokens)) for token in tokens)
        return Row(tuple(ids), targets, "which")

    def _spoken(self, prompt: Prompt, answer: str, kind: str) -> Row:
        ids, answered = self._asked(prompt), [*self._ids(answer), *self._ids(_END)]
        weights = [1.0, 0.1] if kind == "is_it" else [_TEXT_WEIGHT] * len(answered)
        targets = tuple(
            Target(len(ids) - 1 + place, token, weight)
            for place, (token, weight) in enumerate(zip(answered, weights, strict=True))
        )
        return Row((*ids, *answered[:-1]), targets, kind)

    def _asked(self, prompt: Prompt) -> list[int]:
        return self._ids(f"<|vision_end|>{prompt.question}{_END}\n<|im_start|>assistant\n")

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids
