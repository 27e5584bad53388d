import numpy as np
import pytest
from PIL import Image

from service.media.errors import ImageCorruptError, TooManyPixelsError
from tests.unit.media.decoding import decode, frames, middle
from tests.unit.media.image_files import BLUE, GREEN, RED, animation, encoded

ANIMATED = ["GIF", "PNG", "WEBP", "AVIF"]


def shades(count: int) -> list[tuple[int, int, int]]:
    return [(20 * place, 255 - 20 * place, 0) for place in range(count)]


@pytest.mark.parametrize("file_format", ANIMATED)
def test_evenly_spaced_frames_from_first_to_last_are_looked_at(file_format: str) -> None:
    colours = shades(10)
    data = animation(file_format, colours)
    seen = [middle(frame) for frame in frames(data)]
    assert decode(data).frames_total == 10
    assert len(seen) == 4
    for pixel, place in zip(seen, (0, 3, 6, 9), strict=True):
        assert pixel == pytest.approx(colours[place], abs=8)


@pytest.mark.parametrize("file_format", ANIMATED)
def test_a_short_animation_is_looked_at_whole(file_format: str) -> None:
    seen = [middle(frame) for frame in frames(animation(file_format, [RED, GREEN, BLUE]))]
    assert np.abs(np.array(seen) - np.array([RED, GREEN, BLUE])).max() < 12


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP"])
def test_frames_that_change_a_part_are_laid_over_the_ones_before(file_format: str) -> None:
    base = Image.new("RGB", (32, 32), RED)
    changed = base.copy()
    changed.paste(BLUE, (20, 20, 28, 28))
    both = changed.copy()
    both.paste(GREEN, (2, 2, 8, 8))
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = encoded(base, file_format, save_all=True, append_images=[changed, both], duration=100, **options)
    last = frames(data)[-1]
    assert last[24, 24].tolist() == list(BLUE)
    assert last[4, 4].tolist() == list(GREEN)
    assert last[16, 16].tolist() == list(RED)


@pytest.mark.parametrize("file_format", ANIMATED)
def test_a_cut_animation_is_corrupt(file_format: str) -> None:
    data = animation(file_format, shades(6))
    for share in (0.3, 0.6, 0.8, 0.9):
        with pytest.raises(ImageCorruptError):
            decode(data[: int(len(data) * share)])


@pytest.mark.parametrize("file_format", ANIMATED)
def test_the_pixels_of_all_frames_looked_at_count(file_format: str) -> None:
    data = animation(file_format, shades(6), (50, 50))
    assert len(frames(data, max_pixels=10_000)) == 4
    with pytest.raises(TooManyPixelsError, match="50 × 50 pixels in 4 frames exceed 9999"):
        decode(data, max_pixels=9_999)


def test_an_animation_with_thousands_of_frames_is_refused_by_its_header() -> None:
    colours = [(place % 256, place // 256, 0) for place in range(1000)]
    with pytest.raises(TooManyPixelsError, match="1000 frames"):
        decode(animation("GIF", colours, (4, 4)), max_pixels=1_000, max_frames=1)
