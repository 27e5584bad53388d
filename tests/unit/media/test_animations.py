from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from service.media.errors import ImageCorruptError, TooManyPixelsError
from testing.evasion.files.apng_file import Frame, animated_chunks
from testing.evasion.files.png_file import file_of
from tests.unit.media.decoding import decode, frames, middle
from tests.unit.media.image_files import BLUE, GREEN, RED, WHITE, Rgb, animation, encoded, plain

ANIMATED = ["GIF", "PNG", "WEBP", "AVIF"]


def shades(count: int) -> list[tuple[int, int, int]]:
    return [(20 * place, 255 - 20 * place, 0) for place in range(count)]


@pytest.mark.parametrize("file_format", ANIMATED)
def test_frames_from_first_to_last_are_looked_at(file_format: str) -> None:
    colours = shades(10)
    data = animation(file_format, colours)
    seen = [middle(frame) for frame in frames(data)]
    assert decode(data).frames_total == 10
    assert len(seen) == 4
    places = [round(pixel[0] / 20) for pixel in seen]
    assert (places[0], places[-1]) == (0, 9)
    for pixel, place in zip(seen, places, strict=True):
        assert pixel == pytest.approx(colours[place], abs=8)
    assert all(later - earlier <= 5 for earlier, later in pairwise(places))


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


@pytest.mark.parametrize("file_format", ["WEBP", "AVIF"])
def test_a_cut_animation_is_corrupt(file_format: str) -> None:
    data = animation(file_format, shades(6))
    for share in (0.3, 0.6, 0.8, 0.9):
        with pytest.raises(ImageCorruptError):
            decode(data[: int(len(data) * share)])


@pytest.mark.parametrize("file_format", ["PNG", "GIF"])
def test_a_cut_animation_is_judged_by_the_frames_that_browsers_show(file_format: str) -> None:
    data = animation(file_format, shades(6))
    image = decode(data[: int(len(data) * 0.8)])
    assert 1 < image.frames_total < 6
    assert "truncated" in image.ambiguous
    for view, pixel in zip(image.views, (pixels[:3] for pixels in image.pixels), strict=True):
        assert tuple(pixel) == shades(6)[view.frame]


@pytest.mark.parametrize("file_format", ANIMATED)
def test_the_pixels_of_all_frames_looked_at_count(file_format: str) -> None:
    data = animation(file_format, shades(5), (50, 50))
    assert len(frames(data, max_pixels=10_000)) == 4
    with pytest.raises(TooManyPixelsError, match="50 × 50 pixels in 4 frames exceed 9999"):
        decode(data, max_pixels=9_999)


def test_an_animation_with_thousands_of_frames_is_refused_by_its_header() -> None:
    colours = [(place % 256, place // 256, 0) for place in range(1000)]
    with pytest.raises(TooManyPixelsError, match="1000 frames"):
        decode(animation("GIF", colours, (4, 4)), max_pixels=1_000, max_frames=1)


@pytest.mark.parametrize("blend", [0, 1])
@pytest.mark.parametrize(("disposal", "left"), [(0, RED), (1, WHITE), (2, BLUE)])
def test_an_animated_png_without_opacity_clears_to_transparent(disposal: int, left: Rgb, blend: int) -> None:
    shown = [
        Frame(np.asarray(plain(BLUE, (8, 8)))),
        Frame(np.asarray(plain(RED, (4, 8))), disposal=disposal, blend=blend),
        Frame(np.asarray(plain(GREEN, (2, 2))), offset=(6, 6), blend=blend),
    ]
    image = decode(file_of(animated_chunks(shown)))
    last = [
        np.frombuffer(pixels, np.uint8).reshape(8, 8, 3)
        for pixels, view in zip(image.pixels, image.views, strict=True)
        if view.frame == 2 and view.ground in {None, "light"}
    ]
    assert [each[4, 1].tolist() for each in last] == [list(left)]
    assert last[0][7, 7].tolist() == list(GREEN)
