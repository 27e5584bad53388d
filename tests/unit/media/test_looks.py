"""Long pictures are given to engines of a fixed square whole and in parts; every part of them is seen."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.media.parts import parts, parts_needed
from tests.unit.media.decoding import decode, frames
from tests.unit.media.image_files import encoded
from tests.unit.media.test_grounds import two_faced

SIDE = 64
TARGET = SIDE * SIDE

sides = st.integers(1, 5_000)


def strip(size: tuple[int, int]) -> bytes:
    """Return a grey strip with a red end."""
    image = Image.new("RGB", size, "grey")
    short = min(size)
    image.paste((255, 0, 0), (size[0] - short, size[1] - short, *size))
    return encoded(image, "PNG")


@pytest.mark.parametrize("size", [(200, 100), (100, 200), (16, 16), (192, 108)])
def test_a_picture_of_a_usual_shape_is_one_look(size: tuple[int, int]) -> None:
    assert [view.part for view in decode(strip(size), target_pixels=TARGET, is_square=True).views] == [None]


def test_an_engine_that_sees_any_shape_is_given_the_whole_alone() -> None:
    assert [view.part for view in decode(strip((400, 100)), target_pixels=TARGET).views] == [None]


@pytest.mark.parametrize("size", [(300, 100), (100, 400), (1600, 400), (90, 700)])
def test_a_long_picture_is_given_whole_and_in_parts_at_full_size(size: tuple[int, int]) -> None:
    image = decode(strip(size), target_pixels=TARGET, is_square=True)
    whole, *others = image.views
    assert whole.part is None
    assert [view.part for view in others] == parts(size, len(others))
    shapes = [width * height for width, height in image.frame_sizes]
    assert max(shapes) <= TARGET
    last = frames(strip(size), target_pixels=TARGET, is_square=True)[-1]
    reds = (last[:, :, 0].astype(int) - last[:, :, 1] > 200).mean()
    assert reds > 0.8, "the end of the picture fills its part"


def test_a_picture_with_more_parts_than_are_allowed_is_seen_in_longer_ones() -> None:
    image = decode(strip((2000, 20)), target_pixels=TARGET, is_square=True, max_views=6)
    assert len(image.views) == 6
    assert image.ambiguous == ("shape",)
    assert set(image.frame_sizes[1:]) == {(SIDE, SIDE)}


def test_a_long_animation_whose_parts_are_squeezed_is_ambiguous() -> None:
    for width, ambiguous in ((500, ()), (600, ("shape",))):
        pictures = [Image.new("RGB", (width, 100), (number * 50, 0, 0)) for number in range(4)]
        data = encoded(pictures[0], "GIF", save_all=True, append_images=pictures[1:], duration=100)
        assert decode(data, target_pixels=TARGET, is_square=True).ambiguous == ambiguous
        assert decode(data, target_pixels=TARGET).ambiguous == ()


def test_both_grounds_of_a_long_picture_are_given_in_parts() -> None:
    data = encoded(two_faced().resize((300, 100)), "PNG")
    views = decode(data, target_pixels=TARGET, is_square=True).views
    assert [(view.ground, view.part is None) for view in views] == [
        *(("light", True), *[("light", False)] * 4),
        *(("dark", True), *[("dark", False)] * 4),
    ]


@given(sides, sides, st.integers(0, 40))
def test_parts_cover_the_picture_and_overlap(width: int, height: int, most: int) -> None:
    size = (width, height)
    count = parts_needed(size, most)
    boxes = parts(size, count)
    assert len(boxes) == count <= most
    if not boxes:
        return
    along = 0 if width >= height else 1
    spans = [(box[along], box[along] + box[along + 2]) for box in boxes]
    assert spans[0][0] == 0
    assert spans[-1][1] == max(size)
    assert all(box[3 - along] == min(size) and box[1 - along] == 0 for box in boxes)
    for (_, end), (start, _) in itertools.pairwise(spans):
        assert end >= start
    assert np.diff([start for start, _ in spans]).min() >= 0
