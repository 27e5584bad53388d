"""A cheaper pass before the full one: what it clears is judged, and everything else gets the full pass as well.

The first pass asks the list question alone, either of the same engine about a smaller image, or of a smaller engine.
Whatever keeps it from an answer sends the image on: a first pass can save work, and never fail an image.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog

from service.core.errors import EnginePoisonError, RejectedError, TransientError
from service.core.instructions import FirstPassInstructions, ModelInstructions
from service.core.spans import current_span
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
from service.inference.first_pass.reducer import Reducer
from service.inference.first_pass.rules import (
    FAILED,
    SKIPPED,
    first_description,
    first_instructions,
    first_request,
    found,
    full_instructions,
    is_left_out,
)
from service.inference.first_pass.smaller import SmallerEngine
from service.telemetry import labels, names
from service.telemetry.instruments import FIRST_PASS_DURATION

log = structlog.get_logger(__name__)


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

    def lacks(self, first: EngineDescription | None) -> bool:
        """Return whether the engine of the first pass answers, and covers too little to clear any image."""
        return first is not None and not self.described.covers <= first.covers


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
        if self._smaller is None:
            return []
        found, smaller = [*self._smaller.warnings()], self._smaller
        asked = ((each, each.first) for each in self._passes.values() if each.rule.engine == "smaller")
        if any(first is not None and passes.lacks(smaller.describe(first)) for passes, first in asked):
            found.append("engine.first_pass does not cover all categories of a policy, whose images get the full pass")
        return found

    def describe(self, instructions: ModelInstructions) -> EngineDescription:
        """Return the description of the full pass."""
        return self.main.describe(full_instructions(instructions))

    def load(self) -> EngineLoad:
        """Return the requests in the main engine, and whether it can answer: images in a smaller one are not for it."""
        return self.main.load()

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
        full, rule = full_instructions(instructions), instructions.first_pass
        await self.main.prepare(full)
        if rule is not None and instructions not in self._passes:
            try:
                passes = await self._prepared(full, rule)
            except BaseException:
                self.main.forget(full)
                raise
            if instructions in self._passes:  # another call prepared them meanwhile
                self._forget_first(passes)
            else:
                self._passes[instructions] = passes
        self._holders[instructions] += 1

    def forget(self, instructions: ModelInstructions) -> None:
        """Undo one `prepare`."""
        self.main.forget(full_instructions(instructions))
        self._holders[instructions] -= 1
        if self._holders[instructions] <= 0:
            del self._holders[instructions]
            passes = self._passes.pop(instructions, None)
            if passes is not None:
                self._forget_first(passes)

    async def judge(self, request: EngineRequest) -> EngineOutput:
        """Judge by the first pass; what it does not clear gets the full pass."""
        if request.instructions.first_pass is None:
            return await self.main.judge(request)
        passes = self._passes.get(request.instructions)
        if passes is None:
            raise EngineNotRunningError
        if passes.first is None:
            return await self.main.judge(replace(request, instructions=passes.full))
        first = await self._first_pass(request, passes, passes.first)
        if first.outcome == "cleared":
            return EngineOutput(first.scores, label_mass=first.label_mass, first_pass=first)
        with _timed("full"):
            output = await self.main.judge(replace(request, instructions=passes.full))
        return replace(output, first_pass=first)

    async def explain(self, request: EngineRequest, categories: Sequence[str]) -> Mapping[str, str]:
        """Have the main engine explain."""
        return await self.main.explain(
            replace(request, instructions=full_instructions(request.instructions)), categories
        )

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
        first = first_instructions(full, rule)
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

    def _forget_first(self, passes: _Passes) -> None:
        if passes.first is None:
            return
        if passes.rule.engine == "same":
            self.main.forget(passes.first)
        elif self._smaller is not None:
            self._smaller.forget(passes.first)

    async def _first_pass(self, request: EngineRequest, passes: _Passes, first: ModelInstructions) -> FirstPassOutput:
        """Return what the first pass finds; raises only what the full pass would fail with as well."""
        engine = self.main if passes.rule.engine == "same" else self._smaller
        if request.wants_tags or not request.wants_scores or not request.may_clear or engine is None:
            return SKIPPED
        described = engine.describe(first)
        if described is None or passes.lacks(described):
            return FAILED
        with current_span().child(names.JUDGE_FIRST) as span:
            pixels = await self._reducer.reduced(request.pixels, described.image_spec)
            if is_left_out(request, described, passes.rule, is_reduced=pixels is not request.pixels):
                outcome = SKIPPED
            elif (output := await _output(engine, first_request(request, first, pixels), passes.rule)) is None:
                outcome = FAILED
            else:
                outcome = found(output, first_description(described, passes.described), passes.clear_below)
            span.set(names.FIRST_OUTCOME, outcome.outcome)
        return outcome


async def _output(
    engine: Engine | SmallerEngine, request: EngineRequest, rule: FirstPassInstructions
) -> EngineOutput | None:
    """Have the first pass judged; None if that fails in a way that the full pass need not."""
    try:
        with _timed("first"):
            return await engine.judge(request)
    except EnginePoisonError:
        # The full pass would ask the same servers, which stop working each time.
        if rule.engine == "same":
            raise
    except (RejectedError, TransientError) as error:
        log.info("first_pass.failed", error=error)
    return None


@contextmanager
def _timed(kind: labels.PassKind) -> Iterator[None]:
    """Record the time of a pass that gives an answer."""
    since_s = time.perf_counter()
    yield
    FIRST_PASS_DURATION.record(time.perf_counter() - since_s, {labels.KIND: kind})
