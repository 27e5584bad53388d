"""What a token model is put through the contract with."""

import hashlib
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from service.core.instructions import ModelInstructions
from service.core.pixels import RgbPixels
from service.inference.vision.labels import NO_FORMS, YES_FORMS
from service.inference.vision.prompt import Prompt, Prompter, prompter
from service.inference.vision.token_model import ModelFacts, ModelRequest, TokenModel
from testing.asking import TAGGED_INSTRUCTIONS


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token model, and what its kind allows."""

    build: Callable[[], TokenModel]
    instructions: ModelInstructions = TAGGED_INSTRUCTIONS
    """In words that its context has room for."""
    tolerance: float = 0.0
    """How far a probability may move with what else is in flight."""
    adapter: str | None = None
    """One that it knows; None if it is set up without."""

    async def begin(self) -> "StartedModel":
        """Start one."""
        model = self.build()
        facts = await model.start()
        prompts = prompter(self.instructions)
        words = [*prompts.labels, *YES_FORMS, *NO_FORMS]
        return StartedModel(model, facts, self, prompts, await model.prepare(None, words))


@dataclass(frozen=True, slots=True)
class StartedModel:
    """A started model with what it is asked."""

    model: TokenModel
    facts: ModelFacts
    candidate: Candidate
    prompts: Prompter
    tokens: Mapping[str, int]
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def labels(self) -> Mapping[str, int]:
        """The token of every category's label."""
        return {label: self.tokens[label] for label in self.prompts.labels}

    def ask(self, prompt: Prompt, *, seed: int = 0, adapter: str | None = None) -> ModelRequest:
        """Return a question about an image of noise."""
        pixels = _noise(seed)
        return ModelRequest(
            f"test/{next(self._numbers)}", prompt, pixels, hashlib.sha256(pixels.tobytes()).hexdigest(), adapter
        )

    def which(self, *, caption: str | None = None, seed: int = 0) -> ModelRequest:
        """Ask for the label that fits."""
        return self.ask(self.prompts.which(caption), seed=seed)

    def are_alike(self, answers: Sequence[Mapping[str, float]], others: Sequence[Mapping[str, float]]) -> bool:
        """Return whether answers are the same but for the rounding that the candidate may show."""
        return all(
            one.keys() == other.keys()
            and all(math.isclose(math.exp(one[word]), math.exp(other[word]), abs_tol=self._slack) for word in one)
            for one, other in zip(answers, others, strict=True)
        )

    @property
    def _slack(self) -> float:
        return max(self.candidate.tolerance, 1e-9)


def _noise(seed: int) -> RgbPixels:
    return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
