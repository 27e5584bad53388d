"""An engine for tests that reads its scores off the pixels, so that a test can paint the answer it wants."""

import asyncio
from collections.abc import Mapping, Sequence

from service.core.instructions import ModelInstructions
from service.core.pixels import ImageSpec
from service.inference.engine import EngineDescription, EngineLoad, EngineOutput, EngineRequest, Tag

ATTRIBUTE_SCHEMA = "objects/1"


class PaintedEngine:
    """The red, green and blue of the top left pixel are the scores of three categories, in 255ths."""

    CATEGORIES = ("sexual_explicit", "violence", "weapons")

    def __init__(self, *, hold: asyncio.Event | None = None, explains: bool = True) -> None:
        self._explains = explains
        self._hold = hold
        self._running = 0
        self.requests: list[EngineRequest] = []

    def describe(self, instructions: ModelInstructions) -> EngineDescription:
        """Covers three categories, one of them by a hint."""
        del instructions
        return EngineDescription(
            kind="painted",
            model_name="painted",
            model_revision="1",
            covers=frozenset(self.CATEGORIES),
            hints=frozenset({"weapons"}),
            image_spec=ImageSpec(max_pixels=64 * 64),
            concurrency=8,
            attribute_schema=ATTRIBUTE_SCHEMA,
            explains=self._explains,
        )

    def load(self) -> EngineLoad:
        """All that is asked runs at once."""
        return EngineLoad(running=self._running, waiting=0)

    async def start(self) -> None:
        """Nothing to load."""

    async def prepare(self, instructions: ModelInstructions) -> None:
        """Nothing to prepare."""

    def forget(self, instructions: ModelInstructions) -> None:
        """Nothing to free."""

    async def judge(self, request: EngineRequest) -> EngineOutput:
        """Answer in the next turn of the loop, or when the test lets go."""
        self.requests.append(request)
        self._running += 1
        try:
            await (asyncio.sleep(0) if self._hold is None else self._hold.wait())
        finally:
            self._running -= 1
        red, green, blue = (int(value) / 255 for value in request.pixels[0, 0])
        scores = dict(zip(self.CATEGORIES, (red, green, blue), strict=True)) if request.wants_scores else None
        tags: Mapping[str, tuple[Tag, ...]] = {"objects": (Tag("paint", max(red, green, blue)),)}
        return EngineOutput(scores, tags if request.wants_tags else {})

    async def explain(self, request: EngineRequest, categories: Sequence[str]) -> Mapping[str, str]:
        """Say of each category that it was painted."""
        del request
        return {name: f"painted {name}" for name in categories}

    async def stop(self) -> None:
        """Nothing to free."""
