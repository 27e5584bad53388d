"""A cheaper pass before the full one: what it clears is judged, and everything else gets the full pass as well.

The first pass asks the list question alone, either of the same engine about a smaller image, or of a smaller engine.
Whatever keeps it from an answer sends the image on: a first pass can save work, and never fail an image.
"""

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog

from service.core.errors import EnginePoisonError, RejectedError, TransientError
from service.core.instructions import FirstPassInstructions, ModelInstructions
from service.inference.chat import ChatServer, chat_server
from service.inference.engine import (
    Engine,
    EngineDescription,
    EngineLoad,
    EngineOutput,
    EngineRequest,
    FirstPassOutput,
)
from service.inference.errors import EngineConfigurationError, EngineNotRunningError
from service.inference.first_pass.reducer import Reducer, reduced_preprocessing
from service.inference.first_pass.smaller import SmallerEngine
from service.telemetry import labels
from service.telemetry.instruments import FIRST_PASS_DURATION

log = structlog.get_logger(__name__)

LONGEST_SQUEEZED = 2.1
"""Longer images are not cleared by an engine that squeezes them into a square; the decoders cut them into parts."""

_SKIPPED = FirstPassOutput("skipped")
_FAILED = FirstPassOutput("failed")


@dataclass(frozen=True, slots=True)
class _Passes:
    """The instructions of both passes."""

    full: ModelInstructions
    first: ModelInstructions | None
    """None where a first pass would save nothing with this engine."""
    rule: FirstPassInstructions
    clear_below: Mapping[str, float]
    described: EngineDescription
    """Describes the full pass."""


class FirstPassEngine:
    """An engine that judges by a first pass where the instructions have one, and by the main engine otherwise."""

    def __init__(self, main: Engine, smaller: SmallerEngine | None = None) -> None:
        """`smaller` answers the first pass of the instructions that ask for it."""
        self.main = main
        self._smaller = smaller
        self._reducer = Reducer()
        self._passes: dict[ModelInstructions, _Passes] = {}
        self._holders: Counter[ModelInstructions] = Counter()
        """How many calls of `prepare` no call of `forget` has undone."""

    @property
    def chat(self) -> ChatServer | None:
        """The main engine's model for chats."""
        return chat_server(self.main)

    def warnings(self) -> list[str]:
        """Return what keeps the first pass from work."""
        return self._smaller.warnings() if self._smaller is not None else []

    def describe(self, instructions: ModelInstructions) -> EngineDescription:
        """Return the description of the full pass."""
        return self.main.describe(_full(instructions))

    def load(self) -> EngineLoad:
        """Return the requests in both engines, and whether the main one can answer."""
        load = self.main.load()
        if self._smaller is None:
            return load
        smaller = self._smaller.load()
        return EngineLoad(load.running + smaller.running, load.waiting + smaller.waiting, load.is_reachable)

    async def start(self) -> None:
        """Start the main engine, and begin to start the smaller one."""
        await self.main.start()
        if self._smaller is not None:
            await self._smaller.start()

    async def prepare(self, instructions: ModelInstructions) -> None:
        """Prepare both passes.

        Raises what the main engine raises, and `EngineConfigurationError` if the smaller one is not set or does not
        cover what the main one does.
        """
        full, rule = _full(instructions), instructions.first_pass
        await self.main.prepare(full)
        if rule is not None and instructions not in self._passes:
            try:
                self._passes[instructions] = await self._prepared(full, rule)
            except BaseException:
                self.main.forget(full)
                raise
        self._holders[instructions] += 1

    def forget(self, instructions: ModelInstructions) -> None:
        """Undo one `prepare`."""
        self.main.forget(_full(instructions))
        self._holders[instructions] -= 1
        if self._holders[instructions] <= 0:
            del self._holders[instructions]
            passes = self._passes.pop(instructions, None)
            if passes is not None and passes.first is not None:
                self._forget_first(passes.first, passes.rule)

    async def judge(self, request: EngineRequest) -> EngineOutput:
        """Judge by the first pass; what it does not clear gets the full pass."""
        if request.instructions.first_pass is None:
            return await self.main.judge(request)
        passes = self._passes.get(request.instructions)
        if passes is None:
            raise EngineNotRunningError
        if passes.first is None:
            return await self.main.judge(replace(request, instructions=passes.full))
        found = await self._first_pass(request, passes, passes.first)
        if found.outcome == "cleared":
            return EngineOutput(found.scores, label_mass=found.label_mass, first_pass=found)
        with _timed("full"):
            output = await self.main.judge(replace(request, instructions=passes.full))
        return replace(output, first_pass=found)

    async def explain(self, request: EngineRequest, categories: Sequence[str]) -> Mapping[str, str]:
        """Have the main engine explain."""
        return await self.main.explain(replace(request, instructions=_full(request.instructions)), categories)

    async def stop(self) -> None:
        """Stop both engines."""
        self._reducer.close()
        if self._smaller is not None:
            await self._smaller.stop()
        await self.main.stop()

    async def _prepared(self, full: ModelInstructions, rule: FirstPassInstructions) -> _Passes:
        """Prepare the first pass, after the full one."""
        described = self.main.describe(full)
        return _Passes(full, await self._prepared_first(full, rule, described), rule, dict(rule.clear_below), described)

    async def _prepared_first(
        self, full: ModelInstructions, rule: FirstPassInstructions, main: EngineDescription
    ) -> ModelInstructions | None:
        """Prepare the first pass, and return its instructions; None if it would save nothing."""
        first = _first(full, rule)
        if not main.covers:
            return None
        if rule.engine == "smaller":
            await self._prepare_smaller(first, main)
            return first
        await self.main.prepare(first)
        if self.main.describe(first).image_spec != main.image_spec:
            return first
        self.main.forget(first)
        detail = "the engine sees every image at the same size, so that fewer vision tokens would save nothing"
        log.warning("first_pass.without_effect", engine=main.kind, detail=detail)
        return None

    async def _prepare_smaller(self, first: ModelInstructions, main: EngineDescription) -> None:
        if self._smaller is None:
            detail = (
                "a policy's first_pass asks for the smaller engine, and none is set: set its kind, or take "
                "'engine: same' in the policy"
            )
            raise EngineConfigurationError(setting="engine.first_pass.kind", detail=detail)
        await self._smaller.prepare(first)
        described = self._smaller.describe(first)
        missing = sorted(main.covers - described.covers) if described is not None else []
        if missing:
            self._smaller.forget(first)
            detail = (
                f"{described.model_name if described else ''} covers no {', '.join(missing)}, which the policy has "
                "rules for, so it would clear no image: take another engine, or leave the policy's first_pass out"
            )
            raise EngineConfigurationError(setting="engine.first_pass.kind", detail=detail)

    def _forget_first(self, first: ModelInstructions, rule: FirstPassInstructions) -> None:
        if rule.engine == "same":
            self.main.forget(first)
        elif self._smaller is not None:
            self._smaller.forget(first)

    async def _first_pass(self, request: EngineRequest, passes: _Passes, first: ModelInstructions) -> FirstPassOutput:
        engine = self.main if passes.rule.engine == "same" else self._smaller
        if request.wants_tags or not request.wants_scores or not request.may_clear or engine is None:
            return _SKIPPED
        described = engine.describe(first)
        if described is None:
            return _FAILED
        pixels = await self._reducer.reduced(request.pixels, described.image_spec)
        if _is_left_out(request, described, is_reduced=pixels is not request.pixels, rule=passes.rule):
            return _SKIPPED
        smaller = replace(
            request,
            request_id=f"{request.request_id}/first",
            pixels=pixels,
            instructions=first,
            image_key=f"{request.image_key}/first",
        )
        try:
            with _timed("first"):
                output = await engine.judge(smaller)
        except EnginePoisonError:
            # The full pass would ask the same servers, which stop working each time.
            if passes.rule.engine == "same":
                raise
            return _FAILED
        except (RejectedError, TransientError) as error:
            log.info("first_pass.failed", error=error)
            return _FAILED
        return _found(output, _as_first(described, passes.described), passes.clear_below)


@contextmanager
def _timed(kind: labels.PassKind) -> Iterator[None]:
    """Record the time of a pass that gives an answer."""
    since_s = time.perf_counter()
    yield
    FIRST_PASS_DURATION.record(time.perf_counter() - since_s, {labels.KIND: kind})


def _full(instructions: ModelInstructions) -> ModelInstructions:
    return instructions if instructions.first_pass is None else replace(instructions, first_pass=None)


def _first(full: ModelInstructions, rule: FirstPassInstructions) -> ModelInstructions:
    """Return the instructions of a first pass: the same prompt, and no question after the list.

    An adapter belongs to the main engine's model.
    """
    return replace(
        full,
        vision_tokens=rule.vision_tokens,
        follow_up_threshold=math.inf,
        adapter=full.adapter if rule.engine == "same" else None,
    )


def _as_first(described: EngineDescription, full: EngineDescription) -> EngineDescription:
    """Return the description of an engine as it takes the first pass before another one, whose images it is given."""
    named = reduced_preprocessing(described.preprocessing, full=full.image_spec, first=described.image_spec)
    return replace(described, covers=full.covers, image_spec=full.image_spec, preprocessing=named)


def _is_left_out(
    request: EngineRequest, described: EngineDescription, *, is_reduced: bool, rule: FirstPassInstructions
) -> bool:
    """Return whether a first pass would save nothing, or would not see the image as it is."""
    height, width = request.pixels.shape[:2]
    if described.image_spec.is_square and max(height, width) > LONGEST_SQUEEZED * min(height, width):
        return True
    # The same engine would be asked the same question about the same pixels twice.
    return rule.engine == "same" and not is_reduced


def _found(output: EngineOutput, by: EngineDescription, clear_below: Mapping[str, float]) -> FirstPassOutput:
    """Return what a first pass found; one that did not judge the image, or not in all categories, gave no scores."""
    given = output.scores or {}
    if not by.covers or not by.covers <= given.keys():
        return _FAILED
    scores = {name: given[name] for name in given if name in by.covers}
    is_clear = all(score < clear_below.get(name, 0.0) for name, score in scores.items())
    return FirstPassOutput("cleared" if is_clear else "passed_on", scores, output.label_mass, by)
