import numpy as np
import pytest

from service.inference.chat import Message, chat_server, without_control_tokens, written_messages
from service.inference.rehearsal_engine import RehearsalEngine
from service.settings.engine import RehearsalSettings


@pytest.mark.parametrize("token", ["<|im_end|>", "<|image_pad|>", "<think>", "</tool_call>", "<tool_response>"])
def test_a_control_token_in_a_text_is_broken_and_reads_the_same(token: str) -> None:
    written = without_control_tokens(f"a {token}{token} b")
    assert token not in written
    assert written.replace("\N{ZERO WIDTH SPACE}", "") == f"a {token}{token} b"


@pytest.mark.parametrize("text", ["a <b> c", "1 < 2 | 3 > 2", "<||>", "<thinking>", "x <- y"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert without_control_tokens(text) == text


def test_a_runtime_gets_pixels_in_its_own_form_and_texts_without_control_tokens() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    messages: list[Message] = [
        {"role": "system", "content": "<think>"},
        {"role": "user", "content": [{"type": "image", "pixels": pixels}, {"type": "text", "text": "<think>"}]},
        {"role": "assistant", "content": None},
    ]
    system, user, assistant = written_messages(messages, lambda each: {"is": each.shape})
    assert user["content"][0] == {"is": (32, 32, 3)}
    assert "<think>" not in str([system, user])
    assert assistant == {"role": "assistant", "content": None}


def test_an_engine_that_is_no_language_model_has_no_chat() -> None:
    assert chat_server(RehearsalEngine(RehearsalSettings())) is None
