"""What a model favours a label by is measured before the first image, and taken out of the scores."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.core.instructions import CategoryDefinition, ModelInstructions
from service.inference.errors import EngineConfigurationError
from service.inference.vision.label_prior import measured, none_found, questions
from service.inference.vision.prompt import prompter
from service.inference.vision.token_model import ModelRequest
from testing.token_model import Reads, ScriptedModel
from testing.vision import INSTRUCTIONS, Answers, request, started

USUAL = "list-then-questions/1 mass>=0.5 share>=0.01 questions<=4"
SEEN = {"none": 0.9, "weapons": 0.05, "alcohol": 0.03, "gambling": 0.02}
"""What the scripted model sees in every picture, by category."""


def favouring(**favour: float) -> Reads:
    """Script a model that reads the list, and favours labels by a factor each."""

    def reads(ask: ModelRequest, words: Sequence[str]) -> Answers:
        stands_for = contents(ask)
        weights = {label: favour.get(label, 1.0) * SEEN[stands_for[label]] for label in words}
        total = math.fsum(weights.values())
        return {label: 0.99 * weight / total for label, weight in weights.items()}

    return reads


def contents(ask: ModelRequest) -> Mapping[str, str]:
    lines = (line.split(": ") for line in ask.prompt.system.splitlines()[2:6])
    return {label: "none" if name.startswith("none") else name for label, name, *_ in lines}


def model_of(reads: Reads, **options: Any) -> ScriptedModel:
    return ScriptedModel(reads=reads, passes_trials=False, **options)


async def test_scores_are_what_the_model_sees_without_what_it_favours() -> None:
    model, asked = model_of(favouring(A=8.0, C=0.5)), replace(INSTRUCTIONS, follow_up_threshold=0.5)
    biased = await (await started(model, instructions=asked)).judge(request(instructions=asked))
    correcting = await started(model, instructions=asked, label_prior="measured")
    corrected = await correcting.judge(request(instructions=asked))
    assert biased.scores == pytest.approx({"weapons": 0.0068, "alcohol": 0.0020, "gambling": 0.0027}, abs=1e-4)
    # The prior is rounded to a tenth of a unit.
    assert corrected.scores == pytest.approx({"weapons": 0.05, "alcohol": 0.03, "gambling": 0.02}, rel=0.06)
    assert corrected.label_mass == biased.label_mass == pytest.approx(0.99)


async def test_a_verdict_names_the_prior_that_its_scores_are_without() -> None:
    measuring = await started(model_of(favouring(A=8.0, C=0.5)), label_prior="measured")
    assert measuring.describe(INSTRUCTIONS).calibration == f"{USUAL} prior=+2.1,+0.0,-0.7,+0.0"


async def test_nothing_is_measured_and_the_calibration_stays_unless_the_setting_says_so() -> None:
    model = model_of(favouring(A=8.0))
    engine = await started(model)
    assert [ask.request_id for ask in model.asks] == ["trial/form"]
    assert engine.describe(INSTRUCTIONS).calibration == USUAL


def test_each_label_stands_for_each_category_once_a_picture() -> None:
    asks = questions(prompter(INSTRUCTIONS))
    assert len(asks) == 3 * 4
    assert len({ask.request_id for ask in asks}) == len(asks)
    for key in ("grey", "noise", "gradient"):
        maps = [contents(ask) for ask in asks if ask.image_key == f"modstream-{key}"]
        assert all({each[label] for each in maps} == SEEN.keys() for label in "ABCD")
    assert asks[0].prompt == prompter(INSTRUCTIONS).which(None)


@pytest.mark.parametrize(("categories", "asked"), [(1, 6), (18, 38), (20, 21), (51, 52)])
def test_the_questions_are_bounded(categories: int, asked: int) -> None:
    names = [CategoryDefinition(f"c{number}", "x") for number in range(categories)]
    assert len(questions(prompter(ModelInstructions(tuple(names))))) == asked


async def test_no_more_questions_are_asked_at_a_time_than_keep_the_model_busy() -> None:
    model = model_of(favouring(), concurrency=3, busy_s=0.001)
    await started(model, label_prior="measured")
    assert model.most_in_flight == 3


async def test_the_adapter_of_the_instructions_is_measured() -> None:
    asks = questions(prompter(replace(INSTRUCTIONS, adapter="shop")))
    assert {ask.adapter for ask in asks} == {"shop"}


async def test_an_extreme_prior_is_limited_and_logged() -> None:
    with capture_logs() as logs:
        engine = await started(model_of(favouring(A=1000.0, B=0.001)), label_prior="measured")
    assert str(engine.describe(INSTRUCTIONS).calibration).endswith(" prior=+2.3,-2.3,+0.0,+0.0")
    (warning,) = (line for line in logs if line["event"] == "label_prior.clipped")
    assert (warning["labels"], warning["setting"]) == (["A", "B"], "engine.judging.label_prior")


async def test_a_label_whose_probability_is_unknown_ends_the_start() -> None:
    top = model_of(lambda _ask, words: {word: 0.3 for word in words if word != "C"}, label_source="top")
    with pytest.raises(EngineConfigurationError, match=r"label_prior: .* does not show that of C: set it to uniform"):
        await started(top, label_prior="measured")


async def test_a_model_that_takes_too_long_ends_the_start() -> None:
    model = model_of(favouring(), hold=asyncio.Event())
    await model.start()
    with pytest.raises(EngineConfigurationError, match=r"label_prior: 12 questions .* took over 0\.01 s"):
        await measured(model, prompter(INSTRUCTIONS), dict.fromkeys("ABCD", 0), at_a_time=4, time_limit_s=0.01)
    assert model.in_flight == 0


def by_heart(_ask: ModelRequest, words: Sequence[str]) -> Answers:
    return {word: 0.9 if word == "A" else 0.03 for word in words}


@pytest.mark.parametrize(("reads", "share"), [(favouring(A=2.0), 1.0), (by_heart, 0.25)])
def test_a_model_that_knows_labels_by_heart_does_not_find_none_where_the_list_has_it(
    reads: Reads, share: float
) -> None:
    assert none_found([reads(ask, "ABCD") for ask in questions(prompter(INSTRUCTIONS))]) == share
