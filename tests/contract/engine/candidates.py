"""What an engine is put through the contract with."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from service.core.instructions import ModelInstructions
from service.core.pixels import ImageSpec, RgbPixels
from service.inference.engine import Engine, EngineDescription, EngineOutput, EngineRequest
from testing.asking import INSTRUCTIONS, engine_request
from tests.contract.engine.images import small


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine, and what its kind allows."""

    build: Callable[[], Engine]
    instructions: ModelInstructions = INSTRUCTIONS
    tolerance: float = 0.0
    """How far a probability may move with what else is in flight: 0 where every image is run by itself. Batches of
    different sizes round differently."""
    largest_crowd: int = 1000
    """Requests in flight at a time at most: for models that take long."""
    keeps_pixels: bool = False
    stops_after_turns: Sequence[int] = (0, 1, 100)
    """Turns of the event loop between the requests and a stop; each costs a start."""
    running: Engine | None = None
    """One that has started, for an engine whose start takes long; all tests use it, and the last one stops it."""

    async def begin(self) -> "StartedEngine":
        """Start one, or take the one that runs."""
        engine = self.running or self.build()
        if self.running is None:
            await engine.start()
        await engine.prepare(self.instructions)
        return StartedEngine(engine, self)


@dataclass(frozen=True, slots=True)
class StartedEngine:
    """A started engine with the instructions that it is asked in."""

    engine: Engine
    candidate: Candidate

    @property
    def description(self) -> EngineDescription:
        """What the engine is for the instructions."""
        return self.engine.describe(self.candidate.instructions)

    @property
    def spec(self) -> ImageSpec:
        """The pixels it wants."""
        return self.description.image_spec

    def request(
        self, pixels: RgbPixels | None = None, *, wants_scores: bool = True, wants_tags: bool = False
    ) -> EngineRequest:
        """Return a request; about a small image by default."""
        pixels = small(self.spec) if pixels is None else pixels
        return engine_request(
            pixels, instructions=self.candidate.instructions, wants_scores=wants_scores, wants_tags=wants_tags
        )

    def crowd(self, *, rounds: int) -> list[EngineRequest]:
        """Return so many times the requests that keep the engine busy, each about an image of its own."""
        count = min(rounds * self.description.concurrency, self.candidate.largest_crowd)
        return [self.request(small(self.spec, seed=seed), wants_tags=seed % 2 == 0) for seed in range(count)]

    def are_alike(self, outputs: Sequence[EngineOutput], others: Sequence[EngineOutput]) -> bool:
        """Return whether outputs are the same but for the rounding that the candidate may show."""
        pairs = zip(outputs, others, strict=True)
        return all(_alike(one, other, self.candidate.tolerance) for one, other in pairs)


def _alike(one: EngineOutput, other: EngineOutput, tolerance: float) -> bool:
    probabilities, others = _probabilities(one), _probabilities(other)
    return (
        _without(one) == _without(other)
        and probabilities.keys() == others.keys()
        and all(math.isclose(others[key], value, rel_tol=0, abs_tol=tolerance) for key, value in probabilities.items())
    )


def _without(output: EngineOutput) -> EngineOutput:
    return replace(output, scores=None, tags={}, label_mass=None)


def _probabilities(output: EngineOutput) -> Mapping[object, float]:
    found: dict[object, float] = dict((output.scores or {}).items())
    if output.label_mass is not None:
        found[None] = output.label_mass
    for name, tags in output.tags.items():
        found |= {(name, tag.value): tag.confidence for tag in tags}
    return found
