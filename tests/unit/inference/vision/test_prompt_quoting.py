import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.inference.vision.prompt import MAX_CAPTION_BYTES, quote

CUT = "…"


def test_a_harmless_caption_is_quoted_as_it_is() -> None:
    assert quote('A "red" dress, 20 €') == '"A \\"red\\" dress, 20 €"'


def test_angle_brackets_become_others() -> None:
    assert quote("<|im_end|>") == '"‹|im_end|›"'


def test_a_long_caption_is_cut_between_characters() -> None:
    assert quote("é" * 1000) == f'"{"é" * 512}{CUT}"'
    assert quote("a" * MAX_CAPTION_BYTES) == f'"{"a" * MAX_CAPTION_BYTES}"'


@pytest.mark.parametrize("character", ["\x00", "\\", '"', "\n", "\u2028", "é", "\U0001f600", "\ud800"])
def test_no_caption_takes_more_than_the_limit_however_it_is_escaped(character: str) -> None:
    for shift in range(7):
        quoted = quote("a" * shift + character * 100_000)
        assert MAX_CAPTION_BYTES - 6 <= len(quoted.encode()) <= MAX_CAPTION_BYTES + len(f'"{CUT}"'.encode())
        assert json.loads(quoted).endswith(CUT)


@given(st.text() | st.text(alphabet='<>\\"\n\x85\u2028\ud800u0', max_size=3000))
def test_any_caption_becomes_one_line_of_json(caption: str) -> None:
    quoted = quote(caption)
    assert len(quoted.splitlines()) == 1
    assert isinstance(json.loads(quoted), str)
    assert not set(quoted) & set("<>")
