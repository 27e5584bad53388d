import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.target_size import target_size
from service.media.errors import AspectRatioError, ImageCorruptError, TooManyPixelsError
from service.media.sizes import check_size

sides = st.integers(1, 70_000)
multiples = st.sampled_from([1, 2, 14, 28, 32])
areas = st.integers(32 * 32, 2_000_000)


@given(sides, sides, areas, multiples)
def test_target_fits_the_area_in_exact_multiples(width: int, height: int, area: int, multiple_of: int) -> None:
    across, down = target_size((width, height), max_pixels=area, multiple_of=multiple_of)
    assert across * down <= area
    assert across % multiple_of == down % multiple_of == 0
    assert across >= multiple_of
    assert down >= multiple_of


@given(sides, sides, areas, multiples)
def test_nothing_is_enlarged_beyond_the_next_multiple(width: int, height: int, area: int, multiple_of: int) -> None:
    across, down = target_size((width, height), max_pixels=area, multiple_of=multiple_of)
    assert across < width + multiple_of
    assert down < height + multiple_of


@given(st.integers(300, 9000), st.integers(300, 9000))
def test_the_aspect_is_kept(width: int, height: int) -> None:
    across, down = target_size((width, height), max_pixels=512 * 512, multiple_of=32)
    if max(width, height) < 4 * min(width, height):
        assert across / down == pytest.approx(width / height, rel=0.2)


@given(sides, sides)
def test_small_pictures_stay_as_they_are_without_a_multiple(width: int, height: int) -> None:
    assert target_size((width, height), max_pixels=width * height, multiple_of=1) == (width, height)


def test_the_area_of_all_frames_looked_at_counts() -> None:
    check_size((100, 100), frames_total=4, frames_looked_at=4, max_pixels=40_000, max_composed=40_000)
    with pytest.raises(TooManyPixelsError, match="100 × 100 pixels in 4 frames exceed 39999"):
        check_size((100, 100), frames_total=4, frames_looked_at=4, max_pixels=39_999, max_composed=40_000)


def test_an_animation_that_takes_too_much_composing_is_refused() -> None:
    check_size((100, 100), frames_total=32, max_pixels=40_000, max_composed=320_000)
    with pytest.raises(TooManyPixelsError, match="33 frames"):
        check_size((100, 100), frames_total=33, max_pixels=40_000, max_composed=320_000)


def test_strips_longer_than_the_models_take_are_refused() -> None:
    check_size((200, 1), max_pixels=1000)
    with pytest.raises(AspectRatioError, match="more elongated than 200:1"):
        check_size((1, 201), max_pixels=1000)


@pytest.mark.parametrize("size", [(0, 10), (10, 0), (10, -5)])
def test_empty_pictures_are_corrupt(size: tuple[int, int]) -> None:
    with pytest.raises(ImageCorruptError):
        check_size(size, max_pixels=1000)
