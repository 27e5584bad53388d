"""A cheaper pass before the full one, asked of a model that says what the test scripts."""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from service.core.errors import EnginePoisonError
from service.core.instructions import FirstPassInstructions, ModelInstructions
from service.inference.engine import Engine, EngineOutput, EngineRequest
from service.inference.errors import EngineConfigurationError, EngineFailedError, EngineNotRunningError
from service.inference.first_pass.engine import FirstPassEngine
from service.inference.first_pass.rules import full_instructions
from service.inference.first_pass.smaller import SmallerEngine
from service.inference.rehearsal_engine import RehearsalEngine
from service.inference.vision.engine import VisionEngine
from service.inference.vision.token_model import ModelRequest
from service.settings.engine import JudgingSettings, RehearsalSettings
from service.telemetry.request_trace import RequestTracer
from testing.asking import engine_request
from testing.engine import PaintedEngine
from testing.first_pass import FEW_TOKENS, LARGE, SMALLER_MODEL, armed, harmless, passes
from testing.spans import KeptSpans
from testing.token_model import ScriptedModel
from testing.vision import INSTRUCTIONS, PIXELS, questions, says


@asynccontextmanager
async def running(model: ScriptedModel, *instructions: ModelInstructions) -> AsyncIterator[FirstPassEngine]:
    engine = passes(model)
    await engine.start()
    for each in instructions or (FEW_TOKENS,):
        await engine.prepare(each)
    yield engine
    await engine.stop()


def request(**wants: Any) -> EngineRequest:
    return engine_request(wants.pop("pixels", LARGE), **{"instructions": FEW_TOKENS, **wants})


async def judged(model: ScriptedModel, **wants: Any) -> EngineOutput:
    async with running(model) as engine:
        return await engine.judge(request(**wants))


def outcome(output: EngineOutput) -> str | None:
    return output.first_pass.outcome if output.first_pass else None


async def test_a_harmless_image_is_judged_by_the_first_pass_alone() -> None:
    model = ScriptedModel(reads=harmless)
    output = await judged(model)
    assert [ask.image_key.split("/")[1:3] for ask in model.asks] == [["first", "256x256"]]
    assert output.is_cleared
    assert output.scores == {"weapons": 0.0, "alcohol": 0.0, "gambling": 0.0}
    assert output.first_pass is not None
    assert output.first_pass.by is not None
    assert "/64x32x32/" in (output.first_pass.by.preprocessing or "")


async def test_what_it_does_not_clear_gets_the_full_pass_with_its_questions() -> None:
    model = ScriptedModel(reads=armed)
    output = await judged(model)
    assert questions(model) == ["first#0/which", "which", "is_it/weapons"]
    assert ["/512x512/" in ask.image_key for ask in model.asks] == [False, True, True]
    assert outcome(output) == "passed_on"
    assert output.scores is not None
    assert output.scores["weapons"] == pytest.approx(0.9)
    assert output.first_pass is not None
    assert output.first_pass.scores == pytest.approx({"weapons": 0.8, "alcohol": 0.0, "gambling": 0.0})


@pytest.mark.parametrize(("below", "expected"), [(0.5, "passed_on"), (0.5001, "cleared")])
async def test_a_score_at_its_limit_is_not_clear(below: float, expected: str) -> None:
    rule = FirstPassInstructions((("weapons", below), ("alcohol", 0.1), ("gambling", 0.1)), vision_tokens=64)
    instructions = replace(FEW_TOKENS, first_pass=rule)
    async with running(ScriptedModel(reads=says({"A": 0.5, "B": 0.5}, weapons=0.9)), instructions) as engine:
        assert outcome(await engine.judge(request(instructions=instructions))) == expected


async def test_instructions_without_a_first_pass_are_answered_as_before() -> None:
    model = ScriptedModel(reads=harmless)
    async with running(model, INSTRUCTIONS) as engine:
        output = await engine.judge(request(instructions=INSTRUCTIONS))
    assert (len(model.asks), output.first_pass) == (1, None)


@pytest.mark.parametrize(
    "wants",
    [{"wants_tags": True}, {"wants_tags": True, "wants_scores": False}, {"pixels": PIXELS}],
    ids=["tags", "tags alone", "an image of few tokens"],
)
async def test_it_is_left_out_where_it_saves_nothing(wants: Mapping[str, Any]) -> None:
    model = ScriptedModel(reads=harmless)
    output = await judged(model, **wants)
    assert outcome(output) == "skipped"
    assert not any("/first/" in ask.image_key for ask in model.asks)


async def test_it_is_left_out_for_an_image_that_it_may_not_clear() -> None:
    async with running(ScriptedModel(reads=harmless)) as engine:
        output = await engine.judge(replace(request(), may_clear=False))
    assert outcome(output) == "skipped"
    assert not output.is_cleared


def failing_on_small(error: Exception) -> ScriptedModel:
    def reads(ask: ModelRequest, words: Sequence[str]) -> Mapping[str, float]:
        if "/first/" in ask.image_key:
            raise error
        return harmless(ask, words)

    return ScriptedModel(reads=reads)


async def test_a_first_pass_that_fails_sends_the_image_on() -> None:
    output = await judged(failing_on_small(EngineFailedError(detail="no memory")))
    assert outcome(output) == "failed"
    assert output.scores == {"weapons": 0.0, "alcohol": 0.0, "gambling": 0.0}


async def test_an_answer_off_the_labels_clears_nothing() -> None:
    def reads(ask: ModelRequest, _words: Sequence[str]) -> Mapping[str, float]:
        return {"A": 0.1} if "/first/" in ask.image_key else {"A": 1.0}

    assert outcome(await judged(ScriptedModel(reads=reads))) == "failed"


async def test_an_image_that_servers_die_of_is_not_shown_to_the_same_ones_again() -> None:
    model = failing_on_small(EnginePoisonError(detail="gone"))
    with pytest.raises(EnginePoisonError):
        await judged(model)
    assert len(model.asks) == 1


async def test_the_full_passs_description_is_the_engines() -> None:
    async with running(ScriptedModel(), FEW_TOKENS, INSTRUCTIONS) as engine:
        assert engine.describe(FEW_TOKENS) == engine.describe(INSTRUCTIONS)


async def test_forgotten_instructions_are_forgotten_in_both_passes() -> None:
    async with running(ScriptedModel(reads=harmless)) as engine:
        await engine.prepare(FEW_TOKENS)
        engine.forget(FEW_TOKENS)
        assert (await engine.judge(request())).is_cleared
        engine.forget(FEW_TOKENS)
        with pytest.raises(EngineNotRunningError):
            await engine.judge(request())
        with pytest.raises(EngineNotRunningError):
            engine.describe(FEW_TOKENS)


async def test_explanations_come_from_the_full_pass() -> None:
    model = ScriptedModel(reads=armed, writes=lambda _ask, _schema: '{"weapons":"a gun"}')
    async with running(model) as engine:
        assert await engine.explain(request(), ["weapons"]) == {"weapons": "a gun"}
    assert not any("/first/" in ask.image_key for ask in model.asks)


async def test_a_policy_that_asks_for_a_smaller_engine_needs_one() -> None:
    with pytest.raises(EngineConfigurationError, match=r"engine\.first_pass\.kind: .*none is set"):
        async with running(ScriptedModel(), SMALLER_MODEL):
            pass


async def test_a_smaller_engine_that_lacks_a_category_is_refused() -> None:
    classifiers = SmallerEngine(PaintedEngine, timeout_s=1, wait_s=1, must_start=True)
    engine = passes(ScriptedModel(), classifiers)
    await engine.start()
    with pytest.raises(EngineConfigurationError, match="covers no alcohol, gambling, which the policy has rules for"):
        await engine.prepare(SMALLER_MODEL)
    assert engine.warnings() == []
    await engine.stop()


@pytest.mark.parametrize("main", [PaintedEngine(), RehearsalEngine(RehearsalSettings())], ids=["one size", "rehearsal"])
async def test_an_engine_that_would_save_nothing_gives_every_image_the_full_pass(main: Engine) -> None:
    engine = passes(main)
    await engine.start()
    await engine.prepare(FEW_TOKENS)
    assert (await engine.judge(request())).first_pass is None
    await engine.stop()


async def test_a_trace_shows_which_questions_belong_to_the_first_pass() -> None:
    kept = KeptSpans()
    tracer = RequestTracer(kept.sink())
    async with running(ScriptedModel(reads=armed)) as engine:
        with tracer.request("POST", {}):
            await engine.judge(request())
    first = kept.named("first pass")
    assert first.attributes == {"modstream.first_pass.outcome": "passed_on"}
    chats = [span for span in kept.spans if span.name.startswith("chat")]
    assert [chat.parent == first.context for chat in chats] == [True, False, False]


async def test_instructions_that_are_prepared_twice_at_a_time_are_forgotten_in_both_passes() -> None:
    main = VisionEngine(ScriptedModel(reads=harmless), JudgingSettings(), kind="scripted")
    engine = passes(main)
    await engine.start()
    await asyncio.gather(engine.prepare(FEW_TOKENS), engine.prepare(FEW_TOKENS))
    for _ in range(2):
        engine.forget(FEW_TOKENS)
    for each in (full_instructions(FEW_TOKENS), replace(INSTRUCTIONS, vision_tokens=64, follow_up_threshold=math.inf)):
        with pytest.raises(EngineNotRunningError):
            await main.judge(request(instructions=each))
    await engine.stop()
