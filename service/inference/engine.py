"""The engine protocol: images in, scores and tags out. Everything that judges images implements it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from service.pixels import ImageSpec, RgbPixels


@dataclass(frozen=True, slots=True)
class EngineDescription:
    """What an engine is and covers; constant once it has started."""

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
    prompt_hash: str | None = None
    calibration: str | None = None


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One image (or one frame of an animated one) to judge."""

    request_id: str
    pixels: RgbPixels
    wants_scores: bool = True
    wants_tags: bool = False
    caption: str | None = None
    """Untrusted."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One value of an attribute with the engine's confidence in [0, 1]."""

    value: str
    confidence: float


@dataclass(frozen=True, slots=True)
class EngineOutput:
    """The answer to one request."""

    scores: Mapping[str, float] | None
    """Probability in [0, 1] for exactly the categories of `covers`; None if scores were not wanted, or the engine does
    not judge."""
    tags: Mapping[str, tuple[Tag, ...]] = field(default_factory=dict)
    """Values by attribute, surest first; empty unless wanted."""


class Engine(Protocol):
    """Judges images, many at a time, in any order.

    `judge` may be called concurrently and cancelled; a cancelled call frees what it held. It raises
    `RejectedError`, `TransientError` or `FatalError` and nothing else. The same pixels give the same output,
    alone or among others.
    """

    @property
    def description(self) -> EngineDescription:
        """What this engine is; valid after `start`."""
        ...

    async def start(self) -> None:
        """Load the model; returns when the first request would be answered at full speed."""
        ...

    async def judge(self, request: EngineRequest) -> EngineOutput:
        """Judge one image without blocking the event loop."""
        ...

    async def stop(self) -> None:
        """Free everything; requests in flight end with an error or are cancelled. Harmless if never started."""
        ...
