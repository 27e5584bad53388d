from collections.abc import Mapping

from service.app.http import chat_turns
from service.settings.settings import Settings

VLLM = {"engine": {"kind": "vllm", "vllm": {"max_sequences": 64}}}


def turns(settings: Mapping[str, object], *, concurrency: int, has_stream: bool) -> int:
    return chat_turns(Settings.model_validate(settings), concurrency, has_stream=has_stream)


def test_beside_a_stream_chats_have_their_share_of_the_engine() -> None:
    assert turns(VLLM, concurrency=50, has_stream=True) == 12
    assert turns(VLLM, concurrency=1, has_stream=True) == 1


def test_without_a_stream_a_step_of_vllm_may_be_full_of_chats() -> None:
    assert turns(VLLM, concurrency=50, has_stream=False) == 64


def test_without_a_stream_a_fleet_may_be_full_of_chats() -> None:
    assert turns({"engine": {"kind": "openai"}}, concurrency=32, has_stream=False) == 32


def test_without_a_stream_the_pixels_of_chats_are_bounded() -> None:
    assert turns({"engine": {"kind": "vllm"}}, concurrency=102, has_stream=False) == 128
