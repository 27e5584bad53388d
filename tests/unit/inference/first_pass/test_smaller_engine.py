"""The smaller engine of first passes: whatever happens to it, images are judged."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from service.core.instructions import CategoryDefinition, ModelInstructions
from service.inference.engine import EngineDescription, EngineLoad, EngineOutput
from service.inference.errors import EngineConfigurationError, EngineRejectedError
from service.inference.first_pass.engine import FirstPassEngine
from service.inference.first_pass.pause import FAILURES
from service.inference.first_pass.smaller import SmallerEngine
from service.inference.vision.engine import VisionEngine
from service.inference.vision.token_model import ModelFacts, ModelRequest
from service.settings.engine import JudgingSettings
from testing.asking import engine_request
from testing.engine import PaintedEngine
from testing.first_pass import LARGE, SMALLER_MODEL, SmallerModel, armed, harmless, passes
from testing.token_model import ScriptedModel
from testing.vision import INSTRUCTIONS
from testing.waiting import wait_until

MORE = [CategoryDefinition(f"more_{number}", "x") for number in range(20)]
NOT_ANSWERING = ["engine.first_pass does not answer: every image gets the full pass"]
COVERS_TOO_LITTLE = ["engine.first_pass does not cover all categories of a policy, whose images get the full pass"]


@asynccontextmanager
async def running(main: ScriptedModel, smaller: SmallerEngine) -> AsyncIterator[FirstPassEngine]:
    engine = passes(main, smaller)
    try:
        await engine.start()
        await engine.prepare(SMALLER_MODEL)
        yield engine
    finally:
        await engine.stop()


async def judged(engine: FirstPassEngine) -> EngineOutput:
    return await engine.judge(engine_request(LARGE, instructions=SMALLER_MODEL))


def outcome(output: EngineOutput) -> str | None:
    return output.first_pass.outcome if output.first_pass else None


class Failing(ScriptedModel):
    """A model that does not start while it is broken."""

    def __init__(self) -> None:
        super().__init__(reads=harmless)
        self.is_broken = True

    async def start(self) -> ModelFacts:
        if self.is_broken:
            raise EngineConfigurationError(setting="engine.openai.base_urls", detail="no server answers")
        return await super().start()


async def test_what_the_smaller_engine_clears_never_reaches_the_main_one() -> None:
    main, smaller = ScriptedModel(reads=armed), SmallerModel()
    async with running(main, smaller.engine()) as engine:
        output = await judged(engine)
        assert engine.warnings() == []
    assert output.is_cleared
    assert main.asks == []
    assert output.first_pass is not None
    assert output.first_pass.by is not None
    assert output.first_pass.by.kind == "smaller"


async def test_what_it_does_not_clear_is_judged_by_the_main_engine() -> None:
    main = ScriptedModel(reads=harmless)
    async with running(main, SmallerModel(ScriptedModel(reads=armed)).engine()) as engine:
        output = await judged(engine)
    assert outcome(output) == "passed_on"
    assert output.scores == {"weapons": 0.0, "alcohol": 0.0, "gambling": 0.0}


async def test_the_service_starts_and_judges_without_it() -> None:
    smaller = SmallerModel(Failing()).engine()
    async with running(ScriptedModel(reads=harmless), smaller) as engine:
        assert outcome(await judged(engine)) == "failed"
        assert engine.warnings() == NOT_ANSWERING


async def test_it_comes_back_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.inference.first_pass.smaller._PAUSE_S", 0.01)
    model = Failing()
    async with running(ScriptedModel(reads=harmless), SmallerModel(model).engine()) as engine:
        assert outcome(await judged(engine)) == "failed"
        model.is_broken = False
        await wait_until(lambda: engine.warnings() == [], description="the smaller engine is there")
        assert outcome(await judged(engine)) == "cleared"


async def test_an_engine_of_this_process_that_does_not_start_ends_the_start_and_names_its_own_settings() -> None:
    with pytest.raises(EngineConfigurationError, match=r"^engine\.first_pass\.openai\.base_urls: "):
        async with running(ScriptedModel(), SmallerModel(Failing()).engine(must_start=True)):
            pass


async def test_no_image_waits_for_servers_that_are_out() -> None:
    smaller = SmallerModel()
    async with running(ScriptedModel(reads=harmless), smaller.engine()) as engine:
        smaller.model.reachable = False
        assert outcome(await judged(engine)) == "failed"
        assert engine.warnings() == NOT_ANSWERING
        assert engine.load().is_reachable
        smaller.model.reachable = True
        assert outcome(await judged(engine)) == "cleared"
    assert len(smaller.model.asks) == 1


async def test_an_image_waits_for_it_no_longer_than_its_time_limit_and_the_next_ones_not_at_all() -> None:
    smaller = SmallerModel(ScriptedModel(reads=harmless, hold=asyncio.Event()))
    async with running(ScriptedModel(reads=harmless), smaller.engine(timeout_s=0.02)) as engine:
        outcomes = [outcome(await judged(engine)) for _ in range(FAILURES + 2)]
        assert set(outcomes) == {"failed"}
        assert "pauses" in engine.warnings()[0]
    assert len(smaller.model.asks) == FAILURES


async def test_an_engine_that_ends_by_itself_is_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.inference.first_pass.smaller._PAUSE_S", 0.01)
    smaller = SmallerModel()
    async with running(ScriptedModel(reads=harmless), smaller.engine()) as engine:
        await smaller.model.stop()
        assert outcome(await judged(engine)) == "failed"
        await wait_until(lambda: engine.warnings() == [], description="the smaller engine is there again")
        assert outcome(await judged(engine)) == "cleared"
    assert smaller.built == 2


async def test_images_that_it_refuses_pause_nothing() -> None:
    def reads(_ask: ModelRequest, _words: Sequence[str]) -> Mapping[str, float]:
        raise EngineRejectedError(detail="of this image")

    async with running(ScriptedModel(reads=harmless), SmallerModel(ScriptedModel(reads=reads)).engine()) as engine:
        for _ in range(2 * FAILURES):
            assert outcome(await judged(engine)) == "failed"
        assert engine.warnings() == []


async def test_a_policy_that_it_cannot_be_prepared_for_is_reported() -> None:
    smaller = SmallerModel(ScriptedModel(reads=harmless, label_source="allowed"))
    unknown = replace(SMALLER_MODEL, categories=tuple(CategoryDefinition(f"c{place}", "x") for place in range(60)))
    engine = passes(PaintedEngine(), smaller.engine())
    await engine.start()
    await engine.prepare(unknown)
    assert "cannot be prepared" in engine.warnings()[0]
    engine.forget(unknown)
    assert engine.warnings() == []
    await engine.stop()


async def test_policies_that_change_are_prepared_for_and_forgotten() -> None:
    smaller = SmallerModel()
    async with running(ScriptedModel(reads=harmless), smaller.engine()) as engine:
        await engine.prepare(SMALLER_MODEL)
        engine.forget(SMALLER_MODEL)
        assert outcome(await judged(engine)) == "cleared"
        engine.forget(SMALLER_MODEL)
        await engine.prepare(SMALLER_MODEL)
        assert outcome(await judged(engine)) == "cleared"


async def test_many_policies_wait_for_it_once() -> None:
    class Silent(ScriptedModel):
        async def start(self) -> ModelFacts:
            await asyncio.Event().wait()
            return await super().start()

    smaller = SmallerModel(Silent()).engine(wait_s=0.3)
    policies = [replace(SMALLER_MODEL, categories=(*SMALLER_MODEL.categories, each)) for each in MORE]
    began_s = time.monotonic()
    async with running(ScriptedModel(reads=harmless), smaller) as engine:
        for each in policies:
            await engine.prepare(each)
        assert time.monotonic() - began_s < 0.3 * len(policies)


async def test_images_in_the_smaller_engine_take_no_room_in_the_main_one() -> None:
    hold = asyncio.Event()
    smaller = SmallerModel(ScriptedModel(reads=harmless, hold=hold))
    async with running(ScriptedModel(reads=harmless), smaller.engine()) as engine:
        judging = asyncio.create_task(judged(engine))
        await wait_until(lambda: bool(smaller.model.asks), description="the smaller engine is asked")
        assert engine.load() == EngineLoad(0, 0)
        hold.set()
        assert outcome(await judging) == "cleared"


async def test_stopping_before_the_start_is_harmless() -> None:
    await SmallerModel().engine().stop()


async def test_a_preparation_that_is_given_up_leaves_nothing_to_prepare() -> None:
    smaller = SmallerModel().engine(wait_s=60.0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await smaller.prepare(INSTRUCTIONS)
    await smaller.start()
    await wait_until(lambda: smaller.warnings() == [], description="it answers, and is prepared for all that is wanted")
    assert smaller.describe(INSTRUCTIONS) is None
    await smaller.stop()


async def test_an_engine_that_came_after_the_start_and_covers_too_little_is_not_asked_and_health_says_so() -> None:
    class Fewer(VisionEngine):
        def describe(self, instructions: ModelInstructions) -> EngineDescription:
            return replace(super().describe(instructions), covers=frozenset({"weapons"}))

    late = Failing()
    smaller = SmallerEngine(
        lambda: Fewer(late, JudgingSettings(), kind="smaller"), timeout_s=5.0, wait_s=0.01, must_start=False
    )
    engine = passes(ScriptedModel(reads=harmless), smaller)
    await engine.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.inference.first_pass.smaller._PAUSE_S", 0.01)
        await engine.prepare(SMALLER_MODEL)
        late.is_broken = False
        await wait_until(lambda: engine.warnings() == COVERS_TOO_LITTLE, description="it answers and is prepared")
    assert outcome(await judged(engine)) == "failed"
    assert late.asks == []
    await engine.stop()
