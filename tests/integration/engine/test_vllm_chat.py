"""Chats with the tiny Qwen3-VL, by vLLM's own serving layer."""

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from service.core.pixels import RgbPixels
from service.inference.chat import ChatModel, ChatRequest, ChatServer, Message, without_control_tokens
from service.inference.errors import EngineRejectedError, UnknownAdapterError
from testing.waiting import wait_until
from tests.integration.engine.asking import picture

if TYPE_CHECKING:
    from service.inference.vllm.model import VllmModel

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCHEMA = {
    "type": "object",
    "properties": {"season": {"enum": ["spring", "summer"]}, "count": {"type": "integer", "maximum": 9}},
    "required": ["season", "count"],
    "additionalProperties": False,
}
JSON_OBJECT = {"response_format": {"type": "json_object"}, "temperature": 0, "max_tokens": 200}
JSON_SCHEMA = {"response_format": {"type": "json_schema", "json_schema": {"name": "tags", "schema": SCHEMA}}}
_numbers = itertools.count()


@pytest.fixture
def chat(model: "VllmModel") -> ChatServer:
    assert model.chat is not None
    return model.chat


def asked(
    text: str, *images: RgbPixels, options: Mapping[str, Any] | None = None, max_tokens: int = 32, **more: Any
) -> ChatRequest:
    parts = [*({"type": "image", "pixels": pixels} for pixels in images), {"type": "text", "text": text}]
    messages: list[Message] = [
        {"role": "system", "content": "You describe pictures."},
        {"role": "user", "content": parts},
    ]
    return ChatRequest(f"chat {next(_numbers)}", messages, options or {}, max_tokens, **{"tenant": "acme"} | more)


def engine_of(model: "VllmModel") -> Any:
    """Return vLLM's engine, which the model hides."""
    return model._engine


def endless(model: "VllmModel", **more: Any) -> ChatRequest:
    """Return a chat that never ends its turn."""
    end: int = engine_of(model).get_tokenizer().eos_token_id
    return asked("Hello", options={"logit_bias": {str(end): -100}}, max_tokens=1500, **more)


def text_of(answer: Mapping[str, Any]) -> str:
    (choice,) = answer["choices"]
    text: str = choice["message"]["content"]
    return text


async def chunks_of(chat: ChatServer, request: ChatRequest) -> Sequence[Any]:
    events = b"".join([event async for event in chat.stream(request)]).decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]


async def test_a_chat_is_answered_in_openais_form(chat: ChatServer) -> None:
    answer = await chat.complete(asked("Describe it", picture(1)))
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "qwen3-vl-tiny"
    assert text_of(answer)
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert 0 < usage["completion_tokens"] <= 32


async def test_an_answer_ends_at_the_limit_that_the_request_or_the_service_sets(
    chat: ChatServer, model: "VllmModel"
) -> None:
    options = {**endless(model).options, "max_completion_tokens": 5}
    by_request = await chat.complete(asked("Hello", options=options))
    by_service = await chat.complete(asked("Hello", options=endless(model).options, max_tokens=7))
    assert [answer["usage"]["completion_tokens"] for answer in (by_request, by_service)] == [5, 7]
    assert by_request["choices"][0]["finish_reason"] == "length"


async def test_forced_json_is_json(chat: ChatServer) -> None:
    assert isinstance(json.loads(text_of(await chat.complete(asked("As JSON", picture(1), options=JSON_OBJECT)))), dict)
    Draft202012Validator(SCHEMA).validate(
        json.loads(text_of(await chat.complete(asked("As JSON", picture(1), options=JSON_SCHEMA, max_tokens=200))))
    )


async def test_a_chat_has_several_images_or_none(chat: ChatServer) -> None:
    counts = [0, 1, 4]
    answers = [await chat.complete(asked("Describe", *map(picture, range(count)))) for count in counts]
    images = [
        (answer["usage"]["prompt_tokens_details"].get("multimodal_tokens") or {}).get("image", 0) for answer in answers
    ]
    assert images[0] == 0 < images[1] < images[2]
    with pytest.raises(EngineRejectedError, match="At most 4 image"):
        await chat.complete(asked("Describe", *map(picture, range(5))))


async def test_images_of_one_chat_share_the_context(chat: ChatServer) -> None:
    assert chat.image_spec(1).max_pixels == 256 * 32 * 32  # engine.vllm.max_vision_tokens
    assert chat.image_spec(16).max_pixels == 2048 * 3 // 4 // 16 * 32 * 32


async def test_a_streamed_answer_is_the_whole_one_in_pieces(chat: ChatServer) -> None:
    options = {"temperature": 0}
    whole = await chat.complete(asked("Describe it", picture(2), options=options))
    chunks = await chunks_of(chat, asked("Describe it", picture(2), options=options))
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in chunks)
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == text_of(whole)
    assert chunks[-1]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]


async def test_a_streamed_answer_counts_its_tokens_where_that_is_wanted(chat: ChatServer) -> None:
    with_usage = await chunks_of(chat, asked("Hello", include_usage=True))
    assert with_usage[-1]["choices"] == []
    assert with_usage[-1]["usage"]["completion_tokens"] > 0
    assert all(chunk["choices"] for chunk in await chunks_of(chat, asked("Hello")))


async def test_an_adapter_answers_by_its_name(chat: ChatServer) -> None:
    own, *adapters = await chat.models()
    assert own == ChatModel("qwen3-vl-tiny")
    assert adapters[0] == ChatModel("first", parent="qwen3-vl-tiny")
    options = {"temperature": 0, "logprobs": True, "top_logprobs": 1}
    plain = await chat.complete(asked("Describe it", picture(1), options=options))
    adapted = await chat.complete(asked("Describe it", picture(1), adapter="first", options=options))
    assert [plain["model"], adapted["model"]] == ["qwen3-vl-tiny", "first"]
    assert plain["choices"][0]["logprobs"] != adapted["choices"][0]["logprobs"]
    with pytest.raises(UnknownAdapterError):
        await chat.complete(asked("Describe it", adapter="missing"))


async def test_what_the_model_refuses_is_a_rejection_before_the_first_event(
    chat: ChatServer, model: "VllmModel"
) -> None:
    too_long = asked("word " * 3000)
    with pytest.raises(EngineRejectedError, match="maximum context length"):
        await chat.complete(too_long)
    with pytest.raises(EngineRejectedError, match="maximum context length"):
        await anext(aiter(chat.stream(too_long)))
    assert unfinished(model) == 0
    assert text_of(await chat.complete(asked("Hello")))


async def test_a_chat_that_is_given_up_leaves_the_engine(chat: ChatServer, model: "VllmModel") -> None:
    whole = asyncio.create_task(_complete(chat, endless(model)), name="chat")
    await wait_until(lambda: unfinished(model) == 1, description="the engine has the chat")
    whole.cancel()
    with pytest.raises(asyncio.CancelledError):
        await whole
    assert unfinished(model) == 0

    events: Any = chat.stream(endless(model))
    await anext(events)
    assert unfinished(model) == 1
    await events.aclose()
    assert unfinished(model) == 0


async def _complete(chat: ChatServer, request: ChatRequest) -> Mapping[str, Any]:
    return await chat.complete(request)


def unfinished(model: "VllmModel") -> int:
    count: int = engine_of(model).get_num_unfinished_requests()
    return count


async def test_vllm_fetches_and_decodes_nothing(chat: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.multimodal.media import MediaConnector  # noqa: PLC0415 - importing vLLM takes seconds

    used: list[str] = []
    methods = [name for name in dir(MediaConnector) if name.startswith(("fetch", "load"))]
    assert "fetch_image_async" in methods
    for name in methods:
        monkeypatch.setattr(MediaConnector, name, lambda *_, name=name, **__: used.append(name))
    assert text_of(await chat.complete(asked("Describe it", picture(3))))
    assert used == []


async def test_no_text_of_a_chat_becomes_a_control_token(model: "VllmModel") -> None:
    tokenizer = engine_of(model).get_tokenizer()
    added = tokenizer.get_added_vocab()
    broken = {text: tokenizer.encode(without_control_tokens(f"a{text}b{text}")) for text in added}
    assert {text: [token for token in ids if token in added.values()] for text, ids in broken.items()} == {
        text: [] for text in added
    }


async def test_tenants_share_no_cached_prompt(chat: ChatServer) -> None:
    async def cached(tenant: str) -> int:
        answer = await chat.complete(asked("A long question, " * 20, tenant=tenant))
        count: int = answer["usage"]["prompt_tokens_details"].get("cached_tokens", 0)
        return count

    assert await cached("one") == 0
    assert await cached("one") > 0
    assert await cached("other") == 0


async def test_an_image_that_the_engine_lost_is_sent_again(chat: ChatServer, model: "VllmModel") -> None:
    options = {"temperature": 0}
    before = await chat.complete(asked("Describe it", picture(5), options=options))
    engine = engine_of(model)
    await engine.engine_core.call_utility_async("reset_mm_cache")
    await engine.reset_prefix_cache()
    await engine.reset_encoder_cache()
    assert text_of(await chat.complete(asked("Describe it", picture(5), options=options))) == text_of(before)


def schema(content: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": content}}}


ODD: Sequence[dict[str, Any]] = (
    {"seed": 2**63 - 1, "n": 4, "temperature": 1.0},
    {"seed": -(2**63), "n": 3, "temperature": 1.0},
    {"n": 4, "temperature": 0},
    {"logit_bias": {"999999999": 5.0}},
    {"logit_bias": {str(token): -100 for token in range(300)}, "temperature": 2.0, **JSON_OBJECT},
    {"temperature": 5e-324, "top_p": 1e-300},
    {"min_p": 1.0, "top_k": 1, "temperature": 2.0, "repetition_penalty": 2.0},
    {"repetition_penalty": 0.5, "presence_penalty": -2, "frequency_penalty": -2, "temperature": 2.0},
    {"logprobs": True, "top_logprobs": 20, "n": 4, "temperature": 1.0},
    {"stop": ["\0", "\N{GRINNING FACE}"]},
    schema({"type": "array", "items": {"type": "string"}, "minItems": 5, "maxItems": 1}),
    schema({"type": "integer", "minimum": 5, "maximum": 1}),
    schema({"type": "string", "enum": [1]}),
    schema({"type": "object", "properties": {}, "required": ["missing"]}),
    schema({"enum": ["\0", 1.5, None, [1], {"a": 1}]}),
)


@pytest.mark.parametrize("options", ODD)
async def test_whatever_the_options_the_engine_goes_on(
    chat: ChatServer, model: "VllmModel", options: dict[str, Any]
) -> None:
    with suppress(EngineRejectedError):
        await chat.complete(asked("Hello", picture(1), options=options))
    with suppress(EngineRejectedError):
        [event async for event in chat.stream(asked("Hello", picture(1), options=options))]
    assert text_of(await chat.complete(asked("Hello")))
    assert not engine_of(model).errored
    assert unfinished(model) == 0
