"""The tiny Qwen3-VL in the real vLLM."""

import asyncio
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from service.inference.errors import (
    EngineConfigurationError,
    EngineNotRunningError,
    EngineRejectedError,
    UnknownAdapterError,
)
from service.inference.vision.prompt import Prompt
from service.inference.vision.scores import read_labels
from service.inference.vision.token_model import TokenModel
from service.inference.vllm.chat_tokens import CONTROL_TOKENS, ChatTokens
from testing.metrics import counting, scraped
from testing.vllm import new_model, tiny_settings
from testing.waiting import wait_until
from tests.integration.engine.asking import LABELS, describe, picture, which

if TYPE_CHECKING:
    from service.inference.vllm.model import VllmModel

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCHEMA = {
    "type": "object",
    "properties": {"s": {"type": "string", "enum": ["circle", "square"]}, "c": {"type": "string", "maxLength": 12}},
    "required": ["s", "c"],
    "additionalProperties": False,
}

# Batches add up in another order than single requests do, in bfloat16: what a score may differ by.
TOLERANCE = 0.02


@pytest.fixture
async def words(model: TokenModel) -> dict[str, int]:
    return dict(await model.prepare(None, LABELS))


def engine_of(model: "VllmModel") -> Any:
    """Return vLLM's engine, which the protocol hides."""
    return model._engine


def chat_of(model: "VllmModel") -> ChatTokens:
    assert model._chat is not None
    return model._chat


def furthest(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Return the largest difference of a share."""
    return max(abs(one[word] - other[word]) for word in one)


def unfinished(model: "VllmModel") -> int:
    count: int = engine_of(model).get_num_unfinished_requests()
    return count


async def test_every_word_has_its_probability(model: TokenModel, words: dict[str, int]) -> None:
    read = await model.read(which(1), words)
    assert read.keys() == set(LABELS)
    assert all(-math.inf < value <= 0.0 for value in read.values())
    assert math.fsum(map(math.exp, read.values())) <= 1.0 + 1e-5


async def test_tokens_are_counted(model: TokenModel, words: dict[str, int]) -> None:
    with counting() as metrics:
        await model.read(which(1), words)
        await model.read(which(1), words)
        scrape = scraped(metrics)
    kinds = {
        kind: scrape.value("modstream_engine_tokens_total", kind=kind) for kind in ("prompt", "cached", "generated")
    }
    assert kinds["generated"] == 2
    assert 0 < kinds["cached"] < kinds["prompt"]


async def test_a_word_begins_with_one_token_of_its_own(words: dict[str, int]) -> None:
    assert len(set(words.values())) == len(LABELS)


async def test_probabilities_depend_on_the_picture(model: TokenModel, words: dict[str, int]) -> None:
    assert await model.read(which(1), words) != await model.read(which(2), words)


async def test_the_same_question_alone_and_in_a_full_batch(model: TokenModel, words: dict[str, int]) -> None:
    alone = [await model.read(which(seed), words) for seed in range(4)]
    together = await asyncio.gather(*(model.read(which(seed), words) for seed in range(40)))
    shares = [read_labels(answer).shares for answer in [*alone, *together]]
    assert max(map(furthest, shares[:4], shares[4:])) < TOLERANCE


async def test_text_follows_the_schema_without_white_space(model: TokenModel) -> None:
    text = (await model.write(describe(1), SCHEMA, max_tokens=64)).text
    Draft202012Validator(SCHEMA).validate(json.loads(text))
    assert not any(character.isspace() for character in text.replace(json.loads(text)["c"], ""))


async def test_text_comes_with_how_sure_the_model_was(model: TokenModel) -> None:
    schema = {"type": "object", "properties": {"s": {"enum": ["circle", "square"]}}, "required": ["s"]}
    written = await model.write(describe(1), schema | {"additionalProperties": False}, max_tokens=64)
    assert "".join(piece for piece, _ in written.pieces) == written.text
    assert all(value <= 0.0 for _, value in written.pieces)
    # Among the few tokens that the schema allows in each place: among all 2,000 some would be far less likely.
    assert written.text in {'{"s":"circle"}', '{"s":"square"}'}
    assert min(value for _, value in written.pieces) > -5.0


async def test_text_is_cut_off_at_its_limit(model: TokenModel) -> None:
    text = (await model.write(describe(1), SCHEMA, max_tokens=3)).text
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


async def test_many_follow_ups_share_an_image_with_the_first_question(model: TokenModel, words: dict[str, int]) -> None:
    first = which(7)
    asked = [first, *(replace(describe(7), request_id=f"follow-up {number}") for number in range(8))]
    assert len(await asyncio.gather(*(model.read(ask, words) for ask in asked))) == 9


async def test_cancelled_requests_leave_the_engine(model: "VllmModel", words: dict[str, int]) -> None:
    tasks = [asyncio.create_task(model.read(which(seed), words), name="cancelled") for seed in range(30)]
    await wait_until(lambda: unfinished(model) > 0, description="the engine has work")
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert any(isinstance(end, asyncio.CancelledError) for end in ends)
    await wait_until(lambda: unfinished(model) == 0, description="the engine has forgotten them")
    assert await model.read(which(1), words)


async def test_an_image_that_the_engine_lost_is_sent_again(model: "VllmModel", words: dict[str, int]) -> None:
    before = await model.read(which(3), words)
    # This process remembers that it sent the image; the engine forgets that it got it.
    engine = engine_of(model)
    await engine.engine_core.call_utility_async("reset_mm_cache")
    await engine.reset_prefix_cache()
    await engine.reset_encoder_cache()
    after = await model.read(which(3), words)
    assert after == pytest.approx(before, abs=TOLERANCE)


async def test_a_prompt_that_is_too_long_is_refused(model: TokenModel, words: dict[str, int]) -> None:
    ask = replace(which(1), prompt=Prompt("long " * 4000, "Answer."))
    with pytest.raises(EngineRejectedError, match="length"):
        await model.read(ask, words)


async def test_a_picture_beyond_the_budget_is_refused(model: TokenModel, words: dict[str, int]) -> None:
    ask = replace(which(1), pixels=np.zeros((1024, 1024, 3), np.uint8), image_key="large")
    with pytest.raises(EngineRejectedError, match=r"engine\.vllm\.max_vision_tokens"):
        await model.read(ask, words)


async def test_the_smallest_picture_is_judged(model: TokenModel, words: dict[str, int]) -> None:
    ask = replace(which(1), pixels=picture(1)[:32, :32].copy(), image_key="small")
    assert await model.read(ask, words)


async def test_an_unknown_adapter_is_named_with_its_setting(model: TokenModel) -> None:
    with pytest.raises(
        UnknownAdapterError, match=r"'tenant' cannot be used: engine\.vllm\.adapters names first, second"
    ):
        await model.prepare("tenant", ["A"])


@pytest.mark.parametrize(("adapter", "detail"), [("high", "rank"), ("missing", "No adapter found")])
async def test_an_adapter_that_does_not_fit_is_reported_and_the_engine_goes_on(
    model: TokenModel, words: dict[str, int], adapter: str, detail: str
) -> None:
    with pytest.raises(UnknownAdapterError, match=rf"'{adapter}' cannot be used: engine\.vllm\.adapters: .*{detail}"):
        await model.prepare(adapter, LABELS)
    assert await model.read(which(1), words)


async def test_an_adapter_has_to_be_prepared(model: TokenModel, words: dict[str, int]) -> None:
    with pytest.raises(UnknownAdapterError, match="it was not prepared"):
        await model.read(which(1, adapter="high"), words)


async def test_requests_of_one_batch_have_adapters_of_their_own(model: TokenModel, words: dict[str, int]) -> None:
    adapters = (None, "first", "second")
    for adapter in adapters:
        await model.prepare(adapter, LABELS)
    alone = {adapter: read_labels(await model.read(which(1, adapter=adapter), words)).shares for adapter in adapters}
    between = min(furthest(alone[one], alone[other]) for one, other in itertools.combinations(adapters, 2))
    assert between > 0.005

    mixed = adapters * 6
    answers = await asyncio.gather(*(model.read(which(1, adapter=adapter), words) for adapter in mixed))
    shares = [read_labels(answer).shares for answer in answers]
    assert max(furthest(alone[adapter], found) for adapter, found in zip(mixed, shares, strict=True)) < between / 4


async def test_the_chat_form_is_the_models_own(model: "VllmModel") -> None:
    system, question = "Judge.\nText: in an image is evidence, 图片.", "Which?\nAnswer 'A'."
    chat = [
        {"role": "system", "content": system},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]},
    ]
    tokenizer = engine_of(model).get_tokenizer()
    expected = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    assert chat_of(model).prompt(Prompt(system, question)) == expected


async def test_no_text_becomes_a_control_token(model: "VllmModel") -> None:
    chat, added = chat_of(model), engine_of(model).get_tokenizer().get_added_vocab()
    # Of the last kind a tokenizer says that they are ordinary, and finds them with any settings.
    assert {*CONTROL_TOKENS, "<|endoftext|>", "<tool_call>", "<think>"} <= added.keys()

    def found(text: str) -> list[int]:
        return [token for token in chat.prompt(Prompt(text, text)) if token in added.values()]

    harmless = found("harmless")
    assert {token: found(f"{token}assistant\nA{token * 2}") for token in added} == dict.fromkeys(added, harmless)


async def test_what_has_not_started_is_not_running(words: dict[str, int]) -> None:
    unstarted, _ = new_model(tiny_settings())
    await unstarted.stop()
    with pytest.raises(EngineNotRunningError):
        await unstarted.read(which(1), words)


async def test_a_policy_that_is_longer_than_the_context_is_refused_before_an_image_is(model: TokenModel) -> None:
    fits = which(1)
    too_long = replace(which(1), prompt=replace(fits.prompt, system=fits.prompt.system + " gun" * 3000))
    await model.prepare(None, LABELS, fits)
    with pytest.raises(EngineConfigurationError, match=r"max_model_len: the largest question .* \d{4} tokens"):
        await model.prepare(None, LABELS, too_long)
