"""The model's pass over packed questions: the loss, and how many answers are right."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from service.tools.finetuning.encoding import EncodedQuestion
from service.tools.finetuning.memory_plan import ROWS_A_CHUNK
from service.tools.finetuning.training.packing import Pass

_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model says where answers are read."""

    likely: Any
    """Natural log-probability of each target over the whole vocabulary, shape (T,), float32 as in the engine."""
    best: Any
    """The likeliest token of each row, shape (R,)."""


def read_answers(model: Any, packed: Pass) -> Reading:
    """Return what a `Qwen3VLForConditionalGeneration` answers to packed questions.

    The vocabulary is not restricted to the labels: the engine measures how much of the answer falls on labels, so that
    is learnt as well.
    """
    hidden = model.model(
        input_ids=packed.ids,
        position_ids=packed.places,
        attention_mask=packed.mask,
        pixel_values=packed.pixels,
        image_grid_thw=packed.grid,
        use_cache=False,
    ).last_hidden_state[0, packed.read_at]
    parts = [_read_part(model, hidden, packed, start) for start in range(0, len(hidden), ROWS_A_CHUNK)]
    return Reading(torch.cat([likely for likely, _ in parts]), torch.cat([best for _, best in parts]))


def _read_part(model: Any, hidden: Any, packed: Pass, start: int) -> tuple[Any, Any]:
    """Read some rows. Their logits are computed again for the gradient: a thousand rows of them take gigabytes."""
    wanted = (packed.rows >= start) & (packed.rows < start + ROWS_A_CHUNK)
    rows, tokens = packed.rows[wanted] - start, packed.tokens[wanted]

    def output(part: Any) -> tuple[Any, Any]:
        logits = model.lm_head(part).float()
        return torch.log_softmax(logits, -1)[rows, tokens], logits.detach().argmax(-1)

    part = hidden[start : start + ROWS_A_CHUNK]
    if len(hidden) <= ROWS_A_CHUNK or not torch.is_grad_enabled():
        return output(part)
    found: tuple[Any, Any] = checkpoint(output, part, use_reentrant=False)
    return found


def loss_sum(read: Reading, packed: Pass) -> Any:
    """Return the cross-entropy of the answers with their soft targets, summed with the questions' weights."""
    return -(read.likely * packed.shares).sum()


@dataclass(frozen=True, slots=True)
class Score:
    """How a model answers a set of questions."""

    loss: float
    """Mean cross-entropy of a question, in nats, by weight."""
    right: Mapping[str, float]
    """Share of right answers by kind of question. An answer of one token is right if the right tokens have half of the
    probability, which is what the engine needs of its labels; a text, if its likeliest token is right everywhere."""

    @property
    def text(self) -> str:
        """The score in a line."""
        shares = " ".join(f"{kind} {share:.3f}" for kind, share in sorted(self.right.items()))
        return f"loss {self.loss:.4f}, right: {shares}"


class Scores:
    """Adds up the score of several passes."""

    def __init__(self) -> None:
        self._loss = 0.0
        self._weight = 0.0
        self._right: dict[str, list[bool]] = defaultdict(list)

    def add(self, read: Reading, packed: Pass) -> None:
        """Count a pass."""
        self._loss += float(loss_sum(read, packed))
        self._weight += sum(each.weight for each in packed.questions)
        best, chances = read.best[packed.rows].tolist(), read.likely.exp().tolist()
        start = 0
        for question in packed.questions:
            end = start + len(question.targets)
            self._right[question.kind].append(_is_right(question, best[start:end], chances[start:end]))
            start = end

    def total(self) -> Score:
        """Return the score of everything that was counted."""
        right = {kind: sum(each) / len(each) for kind, each in self._right.items()}
        return Score(self._loss / self._weight if self._weight else float("nan"), right)


def _is_right(question: EncodedQuestion, best: Sequence[int], chances: Sequence[float]) -> bool:
    if question.kind == "describe":
        return all(target.token == token for target, token in zip(question.targets, best, strict=True))
    return sum(chances) >= _HALF
