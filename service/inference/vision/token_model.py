"""The interface to a model for the two-stage judgement: one token's probabilities, or a short JSON text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from service.core.availability import RequestClock
from service.core.losses import EngineLosses
from service.core.pixels import RgbPixels
from service.inference.vision.prompt import Prompt

LabelSource = Literal["exact", "allowed", "top"]
"""How labels are read: every label's own probability; an answer that was restricted to the labels, so that their mass
is unknown; or only those among the likeliest tokens, so that the others count as nothing, and the mass may be more."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The facts of a model for verdicts; known after its start."""

    name: str
    revision: str
    precision: str
    concurrency: int
    """Requests that keep it busy."""
    label_source: LabelSource
    max_vision_tokens: int | None = None
    """Most vision tokens of one image. The model reduces larger images. None if it has no such limit."""
    runtime: str | None = None
    """What computes it: the runtime's release, the card and the kernels. None if unknown."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One question about one image."""

    request_id: str
    prompt: Prompt
    pixels: RgbPixels
    image_key: str
    """Names the pixels and how they were made, for the model's caches: equal keys, equal pixels."""
    adapter: str | None
    losses: EngineLosses = field(default_factory=EngineLosses, compare=False)
    """Losses of the record. Models that survive a loss increase the count."""
    clock: RequestClock = field(default_factory=RequestClock, compare=False)
    """Stopped while the question waits for what is no fault of it."""


@dataclass(frozen=True, slots=True)
class GeneratedText:
    """A generated text, with the probabilities of its tokens."""

    text: str
    pieces: Sequence[tuple[str, float]] = ()
    """The text in the pieces that were generated, each with its natural log-probability among what the schema allowed
    in its place; empty where the model does not report them. They are
    reliable up to where they differ from the text."""


class TokenModel(Protocol):
    """A vision-language model. Its calls may run at the same time and be cancelled, and raise an engine's errors."""

    def is_reachable(self) -> bool:
        """Return whether the model can answer, once started; safe in any thread."""
        ...

    async def start(self) -> ModelFacts:
        """Load the model, or connect to it."""
        ...

    async def prepare(
        self, adapter: str | None, words: Sequence[str], largest: ModelRequest | None = None
    ) -> Mapping[str, int]:
        """Make an adapter usable, and return the token that each word begins with as an answer.

        `largest` is the largest question that is going to be asked; the model answers it once. Raises
        `UnknownAdapterError` for an adapter that the settings do not name, or that does not fit the model, and
        `EngineConfigurationError` if the model, or one of its servers, refuses the largest question.
        """
        ...

    async def read(self, ask: ModelRequest, words: Mapping[str, int]) -> Mapping[str, float]:
        """Generate one token; return the natural log-probability that the answer begins with each word."""
        ...

    async def write(self, ask: ModelRequest, json_schema: Mapping[str, Any], *, max_tokens: int) -> GeneratedText:
        """Generate JSON text that the schema describes, at temperature 0; cut off at `max_tokens`."""
        ...

    async def stop(self) -> None:
        """Free all resources; requests in flight end with an error. Allowed before `start`."""
        ...
