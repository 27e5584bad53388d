"""Pure: questions with their right answers → the token ids that the engine reads, and the tokens that are learnt."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service.inference.vision.labels import LabelMap, check_first_tokens
from service.inference.vision.prompt import Prompt
from service.inference.vllm.chat_tokens import END, IMAGE, ChatTokens
from service.tools.finetuning.examples import Kind, TrainingExample
from service.tools.finetuning.training_errors import TooManyQuestionsError, UnusableExampleError

MAX_QUESTIONS = 1_000_000
"""Of one split, encoded: about half a kilobyte of memory each."""


class Questions(Protocol):
    """What has a system text before every image: prepared data."""

    @property
    def system(self) -> str:
        """What stands before every image."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """A token that is right in a place, and its share of what is learnt there."""

    place: int
    """Index in the question's ids of the token that it follows."""
    token: int
    share: float
    """The shares of one question sum to 1."""


@dataclass(frozen=True, slots=True)
class EncodedQuestion:
    """What stands after an image: the question, and its answer up to the last token but one."""

    kind: Kind
    ids: "array[int]"
    """Token ids. They begin with the token that ends the image."""
    targets: tuple[Target, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """One image with all questions about it."""

    path: Path
    """A PNG file of the pixels that the engine sees."""
    image_id: str
    questions: tuple[EncodedQuestion, ...]


@dataclass(frozen=True, slots=True)
class Encoder:
    """Writes questions as the engine writes them, by the same code."""

    chat: ChatTokens
    prefix: "array[int]"
    """Token ids of what stands before every image, including the token that begins the image."""

    def images(self, examples: Iterable[TrainingExample]) -> Sequence[EncodedImage]:
        """Return the images of examples with their questions, in the order of their first example.

        Raises `UnusableExampleError` for an answer that the model cannot give, and `TooManyQuestionsError`.
        """
        found: dict[tuple[str, Path], list[EncodedQuestion]] = {}
        for number, example in enumerate(examples):
            if number == MAX_QUESTIONS:
                raise TooManyQuestionsError(split=example.split, limit=MAX_QUESTIONS)
            found.setdefault((example.image_id, example.image), []).append(self.question(example))
        return [EncodedImage(path, image_id, tuple(questions)) for (image_id, path), questions in found.items()]

    def question(self, example: TrainingExample) -> EncodedQuestion:
        """Return the ids of an example's question and what is to be learnt of it."""
        ids = self.chat.prompt(example.prompt)
        place = len(self.prefix)
        if ids[:place] != list(self.prefix) or ids[place] != self.chat.control[IMAGE]:
            raise UnusableExampleError(image=example.image_id, detail="its policy text differs from the others'")
        asked = ids[place + 1 :]
        if example.kind == "describe":
            return self._text(example, asked)
        shares: dict[int, float] = {}
        for word, share in example.targets.items():
            token = self.chat.first_token(word)
            shares[token] = shares.get(token, 0.0) + share
        total = sum(shares.values())
        if not total > 0:
            raise UnusableExampleError(image=example.image_id, detail="no answer has a share above 0")
        last = len(asked) - 1
        targets = tuple(Target(last, token, share / total) for token, share in shares.items() if share > 0)
        return EncodedQuestion(example.kind, array("i", asked), targets, example.weight)

    def _text(self, example: TrainingExample, asked: Sequence[int]) -> EncodedQuestion:
        """Return a text's tokens, each of which is learnt; together they count as much as one answer of one token."""
        answer = [*self.chat.encode(example.answer), self.chat.control[END]]
        start, share = len(asked) - 1, 1 / len(answer)
        targets = tuple(Target(start + place, token, share) for place, token in enumerate(answer))
        return EncodedQuestion("describe", array("i", [*asked, *answer[:-1]]), targets, example.weight)


def encoder(chat: ChatTokens, data: Questions, labels: LabelMap) -> Encoder:
    """Return what writes the questions of prepared data.

    Raises `LabelCollisionError` if two labels begin with the same token of this model.
    """
    check_first_tokens(labels, {label: chat.first_token(label) for label in labels})
    ids = chat.prompt(Prompt(data.system, ""))
    return Encoder(chat, array("i", ids[: ids.index(chat.control[IMAGE])]))
