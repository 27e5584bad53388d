import numpy as np
import pytest
from PIL import Image

from service.media.errors import ImageCorruptError
from tests.unit.media.decoding import decode, picture
from tests.unit.media.image_files import encoded, gradient, plain
from tests.unit.media.jpeg_files import segment

NEUTRAL = 128

DETAILED = Image.merge("RGB", (Image.effect_noise((96, 96), 60), *gradient((96, 96)).split()[:2]))
KINDS = {
    "sequential": encoded(DETAILED, "JPEG", quality=90),
    "progressive": encoded(DETAILED, "JPEG", quality=90, progressive=True),
    "with restarts": encoded(DETAILED, "JPEG", quality=90, restart_marker_blocks=1),
    "grey": encoded(DETAILED.convert("L"), "JPEG", quality=90),
}


@pytest.mark.parametrize("data", KINDS.values(), ids=KINDS)
def test_a_missing_end_mark_changes_nothing_but_is_marked(data: bytes) -> None:
    for cut in (data[:-2], data[:-1]):
        assert decode(cut).ambiguous == ("truncated",)
        assert np.abs(picture(cut).astype(int) - picture(data)).mean() < 1
    assert decode(data).ambiguous == ()


def test_the_rows_of_a_cut_file_are_judged_and_the_others_are_neutral() -> None:
    data = KINDS["sequential"]
    cut = data[: len(data) // 2]
    assert decode(cut).ambiguous == ("truncated",)
    assert np.abs(picture(cut)[:28].astype(int) - picture(data)[:28]).max() == 0
    assert np.abs(picture(cut)[-16:].astype(int) - NEUTRAL).max() <= 1


def test_a_cut_progressive_picture_is_judged_as_far_as_it_is_refined() -> None:
    data = KINDS["progressive"]
    assert np.abs(picture(data[: len(data) // 2]).astype(int) - picture(data)).mean() < 30


@pytest.mark.parametrize("data", KINDS.values(), ids=KINDS)
def test_wherever_a_jpeg_is_cut_it_is_corrupt_or_marked(data: bytes) -> None:
    first_scan = data.index(b"\xff\xda")
    for length in range(3, len(data), 13):
        try:
            image = decode(data[:length])
        except ImageCorruptError:
            assert length < first_scan + 14
        else:
            assert image.ambiguous == ("truncated",)


def test_a_file_of_which_nothing_is_shown_is_corrupt() -> None:
    data = encoded(plain(), "JPEG")
    scan = data.index(b"\xff\xda")
    with pytest.raises(ImageCorruptError, match="before it shows anything"):
        decode(data[: scan + 14])


def test_a_broken_file_is_corrupt_whether_cut_off_or_not() -> None:
    data = KINDS["progressive"]
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    broken = data[:second] + segment(0xC4, bytes([0, *[255] * 16])) + data[second:]
    for cut in (broken, broken[:-2]):
        with pytest.raises(ImageCorruptError):
            decode(cut)
