"""The two-stage judgement, asked of a model that says what the test scripts."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from service.inference.errors import (
    EngineFailedError,
)
from service.inference.vision.token_model import GeneratedText, ModelRequest
from testing.token_model import ScriptedModel
from testing.vision import INSTRUCTIONS, WHOLE, Answers, questions, request, says, started, writes
from testing.waiting import wait_until


async def test_a_harmless_image_costs_one_token() -> None:
    model = ScriptedModel(reads=says({"A": 0.95, "B": 0.03, "C": 0.01}))
    output = await (await started(model)).judge(request())
    assert questions(model) == ["which"]
    assert output.scores == pytest.approx({"weapons": 0.03 / 0.99, "alcohol": 0.01 / 0.99, "gambling": 0.0})
    assert output.label_mass == pytest.approx(0.99)
    assert output.unjudged is None


async def test_two_things_in_one_image_do_not_halve_each_other() -> None:
    model = ScriptedModel(reads=says({"A": 0.02, "B": 0.5, "C": 0.48}, weapons=0.97, alcohol=0.9))
    output = await (await started(model)).judge(request())
    assert sorted(questions(model)) == ["is_it/alcohol", "is_it/weapons", "which"]
    assert output.scores == pytest.approx({"weapons": 0.97, "alcohol": 0.9, "gambling": 0.0})
    assert output.asked == {"weapons", "alcohol"}


async def test_a_follow_up_may_acquit() -> None:
    model = ScriptedModel(reads=says({"A": 0.4, "B": 0.6}, weapons=0.03))
    output = await (await started(model)).judge(request())
    assert output.scores == pytest.approx({"weapons": 0.03, "alcohol": 0.0, "gambling": 0.0})


async def test_all_questions_share_the_prompts_beginning_and_the_image() -> None:
    model = ScriptedModel(reads=says({"A": 0.1, "B": 0.9}, weapons=0.9), writes=writes(WHOLE))
    engine = await started(model)
    await engine.judge(request(wants_tags=True, caption="a toy gun"))
    await engine.explain(request(caption="a toy gun"), ["weapons"])
    assert sorted(questions(model)) == ["describe", "is_it/weapons", "which", "why"]
    assert len({ask.prompt.system for ask in model.asks}) == 1
    assert len({ask.prompt.question.partition("\n")[0] for ask in model.asks}) == 1
    (key,) = {ask.image_key for ask in model.asks}
    assert key.startswith(f"{request().image_key}/64x32/pillow-")
    assert len({ask.request_id for ask in model.asks}) == 4


async def test_attempts_of_one_record_are_distinguished() -> None:
    model = ScriptedModel(reads=says({"A": 1.0}))
    engine = await started(model)
    for _ in range(2):
        await engine.judge(request())
    assert len({ask.request_id for ask in model.asks}) == 2


async def test_an_answer_off_the_labels_is_not_taken_for_one() -> None:
    model = ScriptedModel(reads=says({"A": 0.3, "B": 0.1}))
    output = await (await started(model)).judge(request())
    assert (output.scores, output.unjudged) == (None, "answer_off_form")
    assert output.label_mass == pytest.approx(0.4)
    assert questions(model) == ["which"]


async def test_the_settings_say_how_much_of_an_answer_must_be_labels() -> None:
    model = ScriptedModel(reads=says({"A": 0.3}))
    output = await (await started(model, min_label_mass=0.2)).judge(request())
    assert output.scores == {"weapons": 0.0, "alcohol": 0.0, "gambling": 0.0}


async def test_an_answer_counts_in_every_form_that_it_is_written_in() -> None:
    def read(_: ModelRequest, words: Sequence[str]) -> Mapping[str, float]:
        return {"A": 0.3, "B": 0.7} if "A" in words else {"Yes": 0.88, "yes": 0.02, "有": 0.02, "No": 0.06, "否": 0.02}

    output = await (await started(ScriptedModel(reads=read))).judge(request())
    assert output.scores is not None
    assert output.scores["weapons"] == pytest.approx(0.92)


async def test_what_is_neither_yes_nor_no_leaves_the_lists_share() -> None:
    def reads(_ask: ModelRequest, words: Sequence[str]) -> Answers:
        return {"A": 0.3, "B": 0.7} if "A" in words else {"yes": 0.1, "no": 0.01}

    output = await (await started(ScriptedModel(reads=reads))).judge(request())
    assert output.scores == pytest.approx({"weapons": 0.7, "alcohol": 0.0, "gambling": 0.0})


async def test_an_answer_restricted_to_the_labels_has_no_mass() -> None:
    def reads(_ask: ModelRequest, words: Sequence[str]) -> Answers:
        return {"A": 0.1, "B": 0.2} if "A" in words else {"yes": 0.03, "no": 0.01}

    output = await (await started(ScriptedModel(reads=reads, label_source="allowed"))).judge(request())
    assert output.label_mass is None
    assert output.scores == pytest.approx({"weapons": 0.75, "alcohol": 0.0, "gambling": 0.0})


async def test_labels_that_are_not_among_the_likeliest_count_as_nothing() -> None:
    model = ScriptedModel(reads=says({"A": 0.8}), label_source="top")
    output = await (await started(model)).judge(request())
    assert output.scores == {"weapons": 0.0, "alcohol": 0.0, "gambling": 0.0}
    assert output.label_mass == pytest.approx(0.8)


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
async def test_probabilities_that_are_no_numbers_are_a_failure_and_no_score(broken: float) -> None:
    class Broken(ScriptedModel):
        async def read(self, ask: ModelRequest, words: Mapping[str, int]) -> Mapping[str, float]:
            is_trial = ask.request_id.startswith("trial/")
            return {**await super().read(ask, words), **({} if is_trial else {"B": broken})}

    with pytest.raises(EngineFailedError):
        await (await started(Broken(reads=says({"A": 1.0})))).judge(request())


async def test_tags_alone_cost_no_judgement() -> None:
    model = ScriptedModel(writes=writes(WHOLE))
    output = await (await started(model)).judge(request(wants_scores=False, wants_tags=True))
    assert questions(model) == ["describe"]
    assert output.scores is None
    assert output.unjudged is None
    assert {name: [tag.value for tag in tags] for name, tags in output.tags.items()} == {
        "kind": ["toy"],
        "colours": ["red"],
        "slogan": ["fine"],
    }
    assert output.tags_complete


async def test_tags_are_asked_for_beside_the_first_question_so_that_the_image_is_encoded_once() -> None:
    model = ScriptedModel(reads=says({"A": 1.0}), writes=writes(WHOLE), hold=asyncio.Event())
    task = asyncio.create_task((await started(model)).judge(request(wants_tags=True)), name="judge")
    await wait_until(lambda: model.in_flight == 2, description="scores and tags are asked for")
    assert questions(model) == ["which", "describe"]
    task.cancel()
    await asyncio.wait([task])


async def test_instructions_without_attributes_have_no_tags() -> None:
    instructions = replace(INSTRUCTIONS, attributes=None)
    model = ScriptedModel(reads=says({"A": 1.0}))
    engine = await started(model, instructions=instructions)
    output = await engine.judge(request(instructions=instructions, wants_tags=True))
    assert (output.tags, output.tags_complete, questions(model)) == ({}, True, ["which"])
    assert engine.describe(instructions).attribute_schema is None


@pytest.mark.parametrize("text", ["", "nothing of the kind", '{"k":'])
async def test_tags_that_cannot_be_read_are_empty_and_incomplete(text: str) -> None:
    model = ScriptedModel(reads=says({"A": 1.0}), writes=writes(text))
    output = await (await started(model)).judge(request(wants_tags=True))
    assert (output.tags, output.tags_complete) == ({}, False)
    assert output.scores


async def test_tags_that_are_cut_off_are_kept_as_far_as_they_go() -> None:
    model = ScriptedModel(reads=says({"A": 1.0}), writes=writes(WHOLE))
    output = await (await started(model, max_tag_tokens=20)).judge(request(wants_tags=True))
    assert (set(output.tags), output.tags_complete) == ({"kind", "colours"}, False)


async def test_an_image_that_is_not_judged_may_have_tags() -> None:
    model = ScriptedModel(reads=says({"A": 0.1}), writes=writes(WHOLE))
    output = await (await started(model)).judge(request(wants_tags=True))
    assert output.unjudged == "answer_off_form"
    assert output.tags
    assert output.label_mass == pytest.approx(0.1)


async def test_a_model_that_reports_no_probabilities_of_what_it_writes_has_tags_all_the_same() -> None:
    class Plain(ScriptedModel):
        async def write(self, ask: ModelRequest, json_schema: Mapping[str, Any], *, max_tokens: int) -> GeneratedText:
            written = await super().write(ask, json_schema, max_tokens=max_tokens)
            return GeneratedText(written.text)

    output = await (await started(Plain(writes=writes(WHOLE)))).judge(request(wants_scores=False, wants_tags=True))
    assert output.tags["kind"][0].confidence == 0.5


async def test_explanations_are_asked_for_the_gravest_alone() -> None:
    said = {"weapons": "a gun", "alcohol": "a bottle", "gambling": "dice"}
    model = ScriptedModel(writes=writes(json.dumps(said)))
    engine = await started(model, max_explained=2)
    assert await engine.explain(request(), list(said)) == {"weapons": "a gun", "alcohol": "a bottle"}
    assert "weapons, alcohol?" in model.asks[0].prompt.question


async def test_nothing_to_explain_asks_nothing() -> None:
    model = ScriptedModel()
    assert await (await started(model)).explain(request(), []) == {}
    assert model.asks == []
