"""What a decoder says is believed only where a sound decoder could have said it."""

import json

import pytest

from service.media.decode_answer import NonsenseError, read_answer
from service.media.errors import ImageCorruptError


def rejected(reason: str, **facts: object) -> bytes:
    return json.dumps({"outcome": "rejected", "reason": reason, "facts": facts}).encode()


def test_a_decoder_may_say_what_is_wrong_with_a_file() -> None:
    with pytest.raises(ImageCorruptError, match="cut off"):
        read_answer(rejected("image.corrupt", detail="cut off"), bytearray(), encoded_bytes=9)


@pytest.mark.parametrize(
    "answer",
    [
        rejected("image.corrupt"),
        rejected("image.corrupt", self="taken over", detail="x"),
        rejected("image.corrupt", detail=["x"]),
        rejected("engine.poison", detail="x"),
        b"[]",
        b"",
        b'{"outcome":"decoded"}',
    ],
)
def test_an_answer_that_no_sound_decoder_gives_is_nonsense(answer: bytes) -> None:
    with pytest.raises(NonsenseError):
        read_answer(answer, bytearray(), encoded_bytes=9)
