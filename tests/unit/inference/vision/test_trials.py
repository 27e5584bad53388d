"""What a model has to answer before the first image of a policy."""

from collections.abc import Mapping, Sequence

import pytest

from service.core.errors import ModstreamError
from service.inference.errors import EngineConfigurationError, EngineFailedError, EngineRejectedError
from service.inference.vision.image_input import image_spec
from service.inference.vision.prompt import prompter
from service.inference.vision.token_model import ModelRequest
from service.inference.vision.trials import largest_question
from testing.token_model import ScriptedModel
from testing.vision import INSTRUCTIONS, says, started


@pytest.mark.parametrize("mass", [0.49, 0.0, float("nan")])
async def test_a_model_that_does_not_answer_in_labels_ends_the_start(mass: float) -> None:
    model = ScriptedModel(reads=says({"A": mass or 1e-9}), passes_trials=False)
    with pytest.raises(EngineConfigurationError, match=r"min_label_mass: .* does not answer in labels"):
        await started(model, min_label_mass=0.5)


@pytest.mark.parametrize("failure", [EngineRejectedError, EngineFailedError])
async def test_a_model_that_fails_on_a_policys_question_ends_the_start(failure: type[ModstreamError]) -> None:
    class Refusing(ScriptedModel):
        async def read(self, ask: ModelRequest, words: Mapping[str, int]) -> Mapping[str, float]:
            raise failure(detail="too many logprobs")

    with pytest.raises(EngineConfigurationError, match=r"policy\.path: .* drawn picture: .*too many logprobs"):
        await started(Refusing())


async def test_a_model_that_answers_in_labels_starts() -> None:
    await started(ScriptedModel(reads=says({"A": 0.3, "B": 0.21}), passes_trials=False), min_label_mass=0.5)


async def test_an_answer_that_was_restricted_to_the_labels_has_no_form_to_check() -> None:
    model = ScriptedModel(reads=says({"A": 0.1}), passes_trials=False, label_source="allowed")
    await started(model, min_label_mass=0.5)


def test_the_largest_question_has_all_pixels_and_the_longest_caption() -> None:
    ask = largest_question(prompter(INSTRUCTIONS))
    height, width = ask.pixels.shape[:2]
    assert height * width == image_spec(INSTRUCTIONS.vision_tokens).max_pixels
    assert len(ask.prompt.question.encode()) > 1024


async def test_the_model_is_asked_the_largest_question_of_the_instructions() -> None:
    class Remembering(ScriptedModel):
        largest: ModelRequest | None = None

        async def prepare(
            self, adapter: str | None, words: Sequence[str], largest: ModelRequest | None = None
        ) -> Mapping[str, int]:
            self.largest = largest
            return await super().prepare(adapter, words)

    model = Remembering()
    await started(model)
    assert model.largest is not None
    assert model.largest.prompt.system == prompter(INSTRUCTIONS).system
