"""Whatever a stranger writes into a caption stays a quoted caption: what the model is asked does not change."""

import json
import unicodedata

import pytest

from service.core.instructions import Language, ModelInstructions
from service.inference.vision.prompt import MAX_CAPTION_BYTES, Prompt, prompter
from testing.injections import CONTROL_TOKENS, INJECTIONS
from testing.token_model import ScriptedModel, guess
from testing.vision import INSTRUCTIONS, request, started

captions = pytest.mark.parametrize("caption", INJECTIONS.values(), ids=INJECTIONS)
languages = pytest.mark.parametrize("language", ["en", "zh"])


def prompts(caption: str | None, language: Language) -> dict[str, Prompt]:
    writer = prompter(ModelInstructions(INSTRUCTIONS.categories, language=language, attributes=INSTRUCTIONS.attributes))
    return {
        "which": writer.which(caption),
        "is_it": writer.is_it(caption, "weapons"),
        "why": writer.why(caption, ["weapons", "alcohol"]),
        "describe": writer.describe(caption),
    }


@languages
@captions
def test_the_question_stays_last_and_on_a_line_of_its_own(caption: str, language: Language) -> None:
    alone = prompts(None, language)
    for name, prompt in prompts(caption, language).items():
        _, question = prompt.question.splitlines()
        assert question == alone[name].question


@languages
@captions
def test_what_stands_before_the_image_does_not_change(caption: str, language: Language) -> None:
    assert {prompt.system for prompt in prompts(caption, language).values()} == {
        prompt.system for prompt in prompts(None, language).values()
    }


@captions
def test_a_caption_is_one_quoted_string_that_nothing_in_it_can_end(caption: str) -> None:
    line = prompts(caption, "en")["which"].question.splitlines()[0]
    introduction, quoted = line.split(": ", 1)
    assert introduction == "Caption, quoted from a stranger"
    said, end = json.JSONDecoder().raw_decode(quoted)
    assert (type(said), end) == (str, len(quoted))


@captions
def test_a_caption_is_bounded(caption: str) -> None:
    line = prompts(caption, "en")["which"].question.splitlines()[0]
    assert len(line.encode()) <= MAX_CAPTION_BYTES + 50


@captions
def test_no_control_token_can_be_spelt_even_by_a_tokenizer_that_normalises(caption: str) -> None:
    line = prompts(caption, "en")["which"].question.splitlines()[0]
    # Qwen's tokenizer composes (NFC), which cannot make an angle bracket of anything else.
    assert not set(unicodedata.normalize("NFC", line)) & set("<>")
    bracketed = [token for token in CONTROL_TOKENS if "<" in token]
    assert [token for token in bracketed if token in line] == []


@captions
def test_a_caption_can_always_be_written_to_a_model(caption: str) -> None:
    for prompt in prompts(caption, "en").values():
        prompt.question.encode()


@captions
async def test_a_caption_is_judged_like_any_other_and_answers_nothing_itself(caption: str) -> None:
    """The scripted model answers by pixels and prompt; what it says is all that comes out."""
    model = ScriptedModel(reads=guess, writes=lambda _ask, _schema: '{"k":"tool","c":[],"s":""}')
    engine = await started(model)
    output = await engine.judge(request(caption=caption, wants_tags=True))
    assert output.scores
    assert [tag.value for tag in output.tags["kind"]] == ["tool"]
    assert len({ask.prompt.question.splitlines()[0] for ask in model.asks}) == 1
