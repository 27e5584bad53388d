"""The engine protocol: images in, scores and tags out. Everything that judges images implements it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from service.core.availability import RequestClock
from service.core.instructions import ModelInstructions
from service.core.losses import EngineLosses
from service.core.pixels import ImageSpec, RgbPixels
from service.telemetry.labels import PassOutcome


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """An engine's identity and coverage for some instructions; constant after `prepare`."""

    kind: str
    model_name: str
    model_revision: str
    covers: frozenset[str]
    """Categories that every judged output has a score for."""
    hints: frozenset[str]
    """Those of `covers` that are too weak to block: a policy may send them to review at most."""
    image_spec: ImageSpec
    concurrency: int
    """Requests that keep the engine busy; more only wait inside it."""
    attribute_schema: str | None = None
    """Name and version of the attributes that its tags come in; None if it makes none."""
    adapter: str | None = None
    precision: str | None = None
    """Precision of the weights, such as fp8. None for engines without a choice."""
    runtime: str | None = None
    """What computes the model: the runtime's release, the card and the kernels. None if unknown."""
    prompt_hash: str | None = None
    label_map: str | None = None
    """Checksum of which answer stands for which category."""
    label_source: str | None = None
    """How scores are read; see `service.inference.vision.token_model.LabelSource`."""
    preprocessing: str | None = None
    """Version of the way from the decoded image to the model's input."""
    calibration: str | None = None
    """The way from the model's answers to scores, with the settings that decide it; None if they are its own."""
    explains: bool = False
    """Whether it has words for what it found: `explain` is called of those engines only."""


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One image, or one frame of an animation, to judge."""

    request_id: str
    pixels: RgbPixels
    instructions: ModelInstructions
    image_key: str
    """Names the pixels: equal keys, equal pixels."""
    deadline_s: float
    """Deadline by `time.monotonic`. Of the waiting requests the one with the earliest deadline goes first."""
    wants_scores: bool = True
    wants_tags: bool = False
    may_clear: bool = True
    """Whether the instructions' first pass may decide; without it, the image gets the full pass at once."""
    asks_all: bool = False
    """Every category gets a question of its own, whatever the list shows. Engines without questions ignore it."""
    caption: str | None = None
    """Untrusted."""
    losses: EngineLosses = field(default_factory=EngineLosses, compare=False)
    """Losses of the record. Engines that survive a loss increase the count."""
    clock: RequestClock = field(default_factory=RequestClock, compare=False)
    """Stopped while the request waits for what is no fault of it."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One value of an attribute with the engine's confidence in [0, 1]."""

    value: str
    confidence: float


@dataclass(frozen=True, slots=True)
class FirstPassOutput:
    """What the first pass found in one image."""

    outcome: PassOutcome
    """It found the image harmless, or did not; it was left out, or gave no scores."""
    scores: Mapping[str, float] | None = None
    """Its scores, for exactly the categories of `covers` of the engine's description; None if it gave none."""
    label_mass: float | None = None
    """As in `EngineOutput`."""
    by: EngineDescription | None = None
    """Describes what gave the scores: the same engine with fewer vision tokens, or another one."""


@dataclass(frozen=True, slots=True)
class EngineOutput:
    """The scores and tags of one request."""

    scores: Mapping[str, float] | None
    """Probability in [0, 1] for exactly the categories of `covers`; None if scores were not wanted, or the engine does
    not judge."""
    tags: Mapping[str, tuple[Tag, ...]] = field(default_factory=dict)
    """Values by attribute, surest first; empty unless wanted."""
    tags_complete: bool = True
    """False if something of the tags was invalid and left out."""
    label_mass: float | None = None
    """Share of the model's answer, in [0, 1], that fell on the labels it was given; None where there are none."""
    asked: frozenset[str] = frozenset()
    """Categories whose score answers a question of its own; the others are read from one answer, or a classifier."""
    unjudged: str | None = None
    """Reason code of why there are no scores although they were wanted; None for an engine that never judges."""
    first_pass: FirstPassOutput | None = None
    """What a first pass found before; where it cleared the image, `scores` are its own. None if there was none."""

    @property
    def is_cleared(self) -> bool:
        """Whether the first pass decided, so that there was no other."""
        return self.first_pass is not None and self.first_pass.outcome == "cleared"


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """The requests in an engine at one moment, and whether it can answer."""

    running: int
    """Requests to the model, of which one image may take several."""
    waiting: int
    """Those that found no place in it yet."""
    is_reachable: bool = True
    """False while nothing could answer, as when every server of a remote model is out."""


class Engine(Protocol):
    """Judges images, many at a time, in any order.

    `judge` and `explain` may be called concurrently and cancelled; a cancelled call frees what it held. They raise
    `RejectedError`, `TransientError` or `FatalError` and nothing else. The same pixels and instructions give the same
    output, alone or among others.
    """

    def describe(self, instructions: ModelInstructions) -> EngineDescription:
        """Return the engine's description for these instructions; valid after `prepare`."""
        ...

    def load(self) -> EngineLoad:
        """Return the requests in the engine; safe in any thread."""
        ...

    async def start(self) -> None:
        """Load the model; return when the first request would be answered at full speed."""
        ...

    async def prepare(self, instructions: ModelInstructions) -> None:
        """Prepare for these instructions, beside requests; raise `FatalError` if they cannot be answered.

        May be repeated; each call is undone by one of `forget`.
        """
        ...

    def forget(self, instructions: ModelInstructions) -> None:
        """Undo one `prepare` of these instructions, which no request has any longer."""
        ...

    async def judge(self, request: EngineRequest) -> EngineOutput:
        """Judge one image without blocking the event loop."""
        ...

    async def explain(self, request: EngineRequest, categories: Sequence[str]) -> Mapping[str, str]:
        """Return a few words for each category on its evidence in the image; categories without words are left out."""
        ...

    async def stop(self) -> None:
        """Free all resources; requests in flight end with an error or are cancelled. Allowed before `start`."""
        ...
