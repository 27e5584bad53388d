from contextlib import suppress
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.errors import ApiError
from service.api.openai.chat_errors import (
    ChatFieldError,
    ChatInvalidError,
    ChatPartError,
    ChatRefusedError,
    ChatRoleError,
    ChatTextTooLongError,
    ChatTooManyImagesError,
    ChatTooManyTokensError,
)
from service.api.openai.chat_reading import Chat, ChatImage, read_chat
from service.api.openai.chat_schema import SchemaRefusedError
from service.settings.api import ApiSettings

KEYS = (
    *("type", "text", "image_url", "url", "detail", "role", "content", "messages", "model", "name", "n", "stop"),
    *("response_format", "json_schema", "schema", "properties", "items", "anyOf", "enum", "$ref", "$defs", "required"),
    *(
        "additionalProperties",
        "format",
        "minimum",
        "logit_bias",
        "stream_options",
        "max_tokens",
        "temperature",
        "tools",
    ),
)
URL = "https://cdn.example.com/42.jpg"
SETTINGS = ApiSettings.model_validate({"max_images": 3, "chat": {"max_tokens": 100, "max_text_bytes": 1000}})


def body(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Hello"}]} | fields


def user(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def read(value: Any) -> Chat:
    return read_chat(value, SETTINGS)


def refused(value: Any) -> ApiError:
    with pytest.raises((ChatRefusedError, SchemaRefusedError)) as caught:
        read(value)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": URL}},
        {"type": "image_url", "image_url": URL},
        {"type": "image_url", "url": URL},
        {"type": "image_url", "image_url": {"url": URL, "detail": "auto"}},
        {"type": "image_url", "url": URL, "detail": "high"},
    ],
)
def test_an_image_is_read_in_openais_form_and_in_the_bare_ones(part: Any) -> None:
    assert read(user({"type": "text", "text": "a"}, part)).images == [
        ChatImage(URL, is_small=False, place="messages.0.content.1.image_url")
    ]


def test_low_detail_is_a_small_image() -> None:
    (image,) = read(user({"type": "image_url", "image_url": {"url": URL, "detail": "low"}})).images
    assert image.is_small


def test_messages_get_pixels_in_the_place_of_their_images() -> None:
    first, second = (np.full((32, 32, 3), value, np.uint8) for value in (1, 2))
    chat = read(
        {
            "messages": [
                {"role": "developer", "content": "Be short."},
                {"role": "user", "name": "ann", "content": [{"type": "image_url", "url": URL}]},
                {"role": "assistant", "content": "Red.", "refusal": None, "tool_calls": None, "audio": None},
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "url": URL}]},
            ]
        }
    )
    system, one, answer, two = chat.messages([first, second])
    assert system == {"role": "system", "content": "Be short."}
    assert one["content"][0]["pixels"] is first
    assert answer == {"role": "assistant", "content": "Red."}
    assert two["content"][0] == {"type": "text", "text": "a"}
    assert two["content"][1]["pixels"] is second


def test_options_are_passed_on_and_the_rest_is_not() -> None:
    options = {
        "temperature": 0.5,
        "top_p": 0.9,
        "n": 2,
        "stop": "x",
        "seed": 7,
        "logprobs": True,
        "top_logprobs": 3,
        "logit_bias": {"12": -3.0},
        "response_format": {"type": "json_object"},
        "top_k": 20,
    }
    ignored = {"user": "u", "metadata": {"a": "b"}, "store": False, "model": "m", "tools": None, "stream": False}
    assert read(body(**options, **ignored, max_tokens=9)).options == options | {
        "stop": ["x"],
        "max_completion_tokens": 9,
    }


def test_a_schema_is_passed_on_by_its_name() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "tags", "strict": True, "schema": {"type": "object"}}}
    assert read(body(response_format=form)).options["response_format"] == form


HARMFUL = (
    *("logits_processors", "prompt_logprobs", "chat_template", "chat_template_kwargs", "mm_processor_kwargs"),
    *("structured_outputs", "guided_json", "guided_regex", "media_io_kwargs", "priority", "cache_salt", "vllm_xargs"),
    *("kv_transfer_params", "ec_transfer_params", "request_id", "session_id", "echo", "add_generation_prompt"),
    *("continue_final_message", "documents", "min_tokens", "ignore_eos", "allowed_token_ids", "bad_words"),
    *("use_beam_search", "best_of", "truncate_prompt_tokens", "return_token_ids", "logprob_token_ids"),
    *("stop_token_ids", "skip_special_tokens", "include_stop_str_in_output", "repetition_detection"),
    *("functions", "function_call", "audio", "prediction", "web_search_options", "no_such_field"),
)


@pytest.mark.parametrize("field", HARMFUL)
def test_a_field_that_is_not_for_clients_is_refused_by_its_name(field: str) -> None:
    error = refused(body(**{field: 1}))
    assert isinstance(error, ChatFieldError)
    assert error.param == field
    assert f"The field {field} is not supported" in str(error)


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"type": "image_url", "image_url": {"url": URL, "uuid": "x"}}, "messages.0.content.0.image_url.uuid"),
        ({"type": "image_url", "image_url": {"url": URL}, "uuid": "x"}, "messages.0.content.0.uuid"),
        ({"type": "text", "text": "a", "cache_control": {}}, "messages.0.content.0.cache_control"),
    ],
)
def test_a_part_has_no_fields_of_the_engines_own(part: Any, field: str) -> None:
    assert refused(user(part)).param == field


@pytest.mark.parametrize(
    "kind",
    [
        "video_url",
        "input_audio",
        "audio_url",
        "file",
        "input_image",
        "image_pil",
        "image_embeds",
        "prompt_embeds",
        None,
    ],
)
def test_a_part_that_is_neither_text_nor_an_image_is_refused(kind: Any) -> None:
    error = refused(user({"type": kind, str(kind): {"url": URL}}))
    assert isinstance(error, ChatPartError)
    assert error.param == "messages.0.content.0"


@pytest.mark.parametrize("role", ["system", "assistant"])
def test_only_the_user_shows_images(role: str) -> None:
    assert isinstance(
        refused({"messages": [{"role": role, "content": [{"type": "image_url", "url": URL}]}]}), ChatPartError
    )


@pytest.mark.parametrize("role", ["tool", "function", "root", None, 7])
def test_an_unknown_role_is_refused(role: Any) -> None:
    assert isinstance(refused({"messages": [{"role": role, "content": "x"}]}), ChatRoleError)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "Hello"}, "messages"),
        ({"messages": [{"role": "user", "content": "x"}] * 300}, "messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}, "messages.0.content.0.text"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content.0.image_url"),
        ({"n": 5}, "n"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": ["a" * 200]}, "stop.0"),
        ({"logit_bias": {"1": 1000}}, "logit_bias.1"),
        ({"repetition_penalty": 1e-300}, "repetition_penalty"),
        ({"seed": 2**63}, "seed"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"modalities": ["audio"]}, "modalities.0"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "structural_tag"}}, "response_format"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_its_field(fields: Any, param: str) -> None:
    error = refused(body() | fields)
    assert isinstance(error, ChatInvalidError)
    assert error.param == param


def test_a_bomb_in_a_schema_is_refused() -> None:
    schema = {"type": "string", "maxLength": 100}
    error = refused(body(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}))
    assert isinstance(error, SchemaRefusedError)


def test_the_limits_of_the_settings_are_named() -> None:
    text = refused(body(messages=[{"role": "user", "content": "ä" * 501}]))
    assert isinstance(text, ChatTextTooLongError)
    assert "1002 bytes, more than 1000 (api.chat.max_text_bytes)" in str(text)
    assert isinstance(refused(user(*[{"type": "image_url", "url": URL}] * 4)), ChatTooManyImagesError)
    for field in ("max_tokens", "max_completion_tokens"):
        tokens = refused(body(**{field: 101}))
        assert isinstance(tokens, ChatTooManyTokensError)
        assert tokens.param == field


@pytest.mark.parametrize("value", [None, [], "x", 5])
def test_what_is_no_object_is_refused(value: Any) -> None:
    assert isinstance(refused(value), ChatInvalidError)


def test_a_refusal_repeats_nothing_of_the_text() -> None:
    text = "a text of the client"
    for value in (user({"type": "text", "text": [text]}), body(temperature=text), body(stop=[[text]])):
        assert text not in str(refused(value))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=9), inner),
    max_leaves=20,
)


@given(JSON, st.sampled_from(KEYS))
def test_whatever_stands_in_a_field_it_is_read_or_refused(value: Any, field: str) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": value}}
    for body_of_it in (value, body(**{field: value}), user(value), body(response_format=form), {"messages": [value]}):
        with suppress(ChatRefusedError, SchemaRefusedError):
            orjson.dumps(dict(read(body_of_it).options))
