"""A vision engine prepares, keeps its model busy, and stops."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from service.core.errors import EngineDeadError, ModstreamError
from service.core.instructions import CategoryDefinition, ModelInstructions
from service.inference.errors import (
    EngineFailedError,
    EngineNotRunningError,
    EngineRejectedError,
    LabelCollisionError,
    TooManyCategoriesError,
    UnknownAdapterError,
    VisionBudgetError,
)
from service.inference.vision.engine import VisionEngine
from service.inference.vision.image_input import preprocessing
from service.inference.vision.token_model import ModelFacts, ModelRequest
from service.settings.engine import JudgingSettings
from testing.token_model import ScriptedModel
from testing.vision import INSTRUCTIONS, WHOLE, Answers, request, says, started, writes
from testing.waiting import wait_until


async def test_the_description_names_all_that_makes_a_verdict() -> None:
    instructions = replace(INSTRUCTIONS, adapter="shop", vision_tokens=1024)
    engine = await started(ScriptedModel(adapters=frozenset({"shop"}), concurrency=7), instructions=instructions)
    description = engine.describe(instructions)
    assert (description.kind, description.model_name, description.precision) == ("scripted", "scripted", "fp64")
    assert description.covers == {"weapons", "alcohol", "gambling"}
    assert (description.image_spec.max_pixels, description.image_spec.multiple_of) == (1024 * 1024, 32)
    assert (description.adapter, description.attribute_schema, description.concurrency) == ("shop", "goods/1", 7)
    assert description.prompt_hash
    assert description.label_map
    assert (description.label_source, description.preprocessing) == ("exact", preprocessing(1024))


@pytest.mark.parametrize("changed", [{"min_label_mass": 0.4}, {"noticeable_share": 0.02}, {"max_follow_ups": 3}])
async def test_settings_that_change_scores_are_described_with_them(changed: dict[str, float]) -> None:
    usual, other = await started(ScriptedModel()), await started(ScriptedModel(), instructions=INSTRUCTIONS, **changed)
    assert usual.describe(INSTRUCTIONS).calibration != other.describe(INSTRUCTIONS).calibration


async def test_instructions_are_described_separately() -> None:
    engine = await started(ScriptedModel())
    other = replace(INSTRUCTIONS, categories=INSTRUCTIONS.categories[:1])
    await engine.prepare(other)
    assert engine.describe(other).covers == {"weapons"}
    assert engine.describe(other).prompt_hash != engine.describe(INSTRUCTIONS).prompt_hash
    assert engine.describe(INSTRUCTIONS).covers == {"weapons", "alcohol", "gambling"}


async def test_instructions_are_prepared_once() -> None:
    class Counting(ScriptedModel):
        prepared = 0

        async def prepare(
            self, adapter: str | None, words: Sequence[str], largest: ModelRequest | None = None
        ) -> Mapping[str, int]:
            self.prepared += 1
            return await super().prepare(adapter, words)

    model = Counting()
    engine = await started(model)
    await engine.prepare(replace(INSTRUCTIONS))
    assert model.prepared == 1


async def test_instructions_are_forgotten_with_the_last_who_had_them_prepared() -> None:
    engine = await started(ScriptedModel())
    await engine.prepare(replace(INSTRUCTIONS))
    engine.forget(INSTRUCTIONS)
    assert engine.describe(INSTRUCTIONS)
    engine.forget(INSTRUCTIONS)
    with pytest.raises(EngineNotRunningError):
        engine.describe(INSTRUCTIONS)
    assert not engine._preparations
    assert not engine._holders
    await engine.prepare(INSTRUCTIONS)
    assert engine.describe(INSTRUCTIONS)


async def test_instructions_with_more_vision_tokens_than_the_model_has_are_refused() -> None:
    class ShortSighted(ScriptedModel):
        async def start(self) -> ModelFacts:
            return replace(await super().start(), max_vision_tokens=256)

    engine = await started(ShortSighted())
    with pytest.raises(VisionBudgetError, match="asks for 257 vision tokens; the engine takes 256 at most"):
        await engine.prepare(replace(INSTRUCTIONS, vision_tokens=257))


async def test_the_adapter_of_the_instructions_is_asked() -> None:
    instructions = replace(INSTRUCTIONS, adapter="shop")
    model = ScriptedModel(reads=says({"A": 1.0}), adapters=frozenset({"shop"}))
    await (await started(model, instructions=instructions)).judge(request(instructions=instructions))
    assert [ask.adapter for ask in model.asks] == ["shop"]


def labelled(**labels: str) -> ModelInstructions:
    return ModelInstructions(tuple(CategoryDefinition(name, name, label=label) for name, label in labels.items()))


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        # The scripted model's tokens are characters.
        (labelled(weapons="Gun", gambling="Game"), LabelCollisionError),
        (labelled(weapons="Arms"), LabelCollisionError),
        (labelled(weapons="B", gambling="B"), LabelCollisionError),
        (
            ModelInstructions(tuple(CategoryDefinition(f"c{number}", "x") for number in range(52))),
            TooManyCategoriesError,
        ),
        (replace(INSTRUCTIONS, adapter="unknown"), UnknownAdapterError),
    ],
)
async def test_instructions_that_cannot_be_answered_are_refused(
    instructions: ModelInstructions, expected: type[ModstreamError]
) -> None:
    engine = await started(ScriptedModel())
    with pytest.raises(expected):
        await engine.prepare(instructions)


async def test_no_more_requests_are_in_the_model_than_keep_it_busy() -> None:
    reads = says({"A": 0.1, "B": 0.5, "C": 0.4}, weapons=0.5, alcohol=0.5)
    model = ScriptedModel(reads=reads, writes=writes(WHOLE), concurrency=3, busy_s=0.001)
    engine = await started(model)
    await asyncio.gather(*(engine.judge(request(wants_tags=True)) for _ in range(20)))
    assert len(model.asks) == 20 * 4
    assert model.most_in_flight == 3


async def test_an_engine_is_as_reachable_as_its_model() -> None:
    model = ScriptedModel()
    engine = await started(model)
    assert engine.load().is_reachable
    model.reachable = False
    assert not engine.load().is_reachable


async def test_an_images_further_questions_come_before_later_images() -> None:
    hold = asyncio.Event()
    model = ScriptedModel(reads=says({"B": 1.0}, weapons=1.0), concurrency=1, hold=hold)
    engine = await started(model)
    requests = [replace(request(), request_id=f"{number}", deadline_s=float(number)) for number in range(3)]
    tasks = [asyncio.create_task(engine.judge(each), name=each.request_id) for each in requests]
    await wait_until(lambda: model.in_flight == 1, description="the first question is asked")
    hold.set()
    await asyncio.gather(*tasks)
    assert [ask.request_id[0] for ask in model.asks] == list("010122")


async def test_a_cancelled_image_leaves_the_model_with_all_its_questions() -> None:
    reads = says({"B": 0.5, "C": 0.5}, weapons=1.0, alcohol=1.0)
    model = ScriptedModel(reads=reads, hold=asyncio.Event(), holds=lambda ask: not ask.request_id.endswith("which"))
    engine = await started(model)
    task = asyncio.create_task(engine.judge(request(wants_tags=True)), name="judge")
    await wait_until(lambda: model.in_flight == 3, description="all but the list is asked")
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert model.in_flight == 0
    async with asyncio.timeout(1):
        await asyncio.gather(*(engine.judge(request(wants_scores=False)) for _ in range(8)))


async def test_a_model_that_refuses_to_write_tags_does_not_affect_the_verdict() -> None:
    def refuse(_ask: ModelRequest, _schema: Mapping[str, Any]) -> str:
        raise EngineRejectedError(detail="the schema is too large")

    engine = await started(ScriptedModel(reads=says({"A": 1.0}), writes=refuse))
    output = await engine.judge(request(wants_tags=True))
    assert (bool(output.scores), output.tags, output.tags_complete) == (True, {}, False)
    with pytest.raises(EngineRejectedError):
        await engine.judge(request(wants_scores=False, wants_tags=True))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (EngineFailedError(detail="x"), EngineDeadError(detail="x"), EngineDeadError),
        (EngineDeadError(detail="x"), EngineFailedError(detail="x"), EngineDeadError),
        (EngineFailedError(detail="x"), EngineFailedError(detail="x"), EngineFailedError),
    ],
)
async def test_questions_that_fail_together_fail_for_the_gravest_cause(
    first: ModstreamError, second: ModstreamError, expected: type[ModstreamError]
) -> None:
    def reads(ask: ModelRequest, words: Sequence[str]) -> Answers:
        if "A" in words:
            return {"B": 0.5, "C": 0.5}
        raise first if "weapons" in ask.prompt.question else second

    with pytest.raises(expected):
        await (await started(ScriptedModel(reads=reads))).judge(request())


async def test_nothing_is_answered_before_the_start_or_after_the_stop() -> None:
    engine = VisionEngine(ScriptedModel(), JudgingSettings(), kind="scripted")
    for act in (engine.judge(request()), engine.prepare(INSTRUCTIONS), engine.explain(request(), ["weapons"])):
        with pytest.raises(EngineNotRunningError):
            await act
    await engine.start()
    await engine.prepare(INSTRUCTIONS)
    await engine.stop()
    with pytest.raises(EngineNotRunningError):
        await engine.judge(request())
    assert engine.describe(INSTRUCTIONS).kind == "scripted"


async def test_instructions_that_were_not_prepared_are_not_answered() -> None:
    engine = await started(ScriptedModel())
    with pytest.raises(EngineNotRunningError):
        engine.describe(replace(INSTRUCTIONS, language="zh"))
