import numpy as np
import pytest
from PIL import ImageCms

from tests.unit.media.decoding import decode, picture
from tests.unit.media.image_files import encoded, gradient, swapped_profile
from tests.unit.media.jpeg_files import before_pixels, segment, with_segments, without_segments

JFIF = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
PLAIN = without_segments(encoded(gradient(), "JPEG", quality=95, subsampling=0), 0xE0)
CMYK = without_segments(encoded(gradient().convert("CMYK"), "JPEG", quality=95), 0xEE)
RGB = encoded(gradient(), "JPEG", quality=95, keep_rgb=True)

PROFILE = swapped_profile()
HALF = len(PROFILE) // 2


def part(number: int, total: int, body: bytes) -> bytes:
    return segment(0xE2, b"ICC_PROFILE\0" + bytes((number, total)) + body)


def adobe(transform: int) -> bytes:
    return segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes((transform,)))


def named(data: bytes, names: bytes) -> bytes:
    """Return a JPEG whose components are called otherwise."""
    changed, frame, scan = bytearray(data), data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    for number, name in enumerate(names):
        changed[frame + 10 + 3 * number] = changed[scan + 5 + 2 * number] = name
    return bytes(changed)


FIRST, SECOND = part(1, 2, PROFILE[:HALF]), part(2, 2, PROFILE[HALF:])


@pytest.mark.parametrize(
    "parts",
    [
        [part(1, 1, PROFILE)],
        [FIRST, SECOND],
        [SECOND, FIRST],
        [FIRST, SECOND, SECOND],
        [FIRST, SECOND, part(3, 2, b"more")],
        [part(1, 1, PROFILE), part(1, 1, b"another")],
        [part(1, 1, b""), part(1, 1, PROFILE)],
    ],
)
def test_a_profile_in_parts_is_joined_up_to_the_last_one_that_is_missing(parts: list[bytes]) -> None:
    red, green, blue = np.moveaxis(picture(PLAIN), -1, 0)
    swapped = np.stack((blue, green, red), -1).astype(int)
    assert np.abs(picture(with_segments(PLAIN, *parts)) - swapped).mean() < 2
    assert np.abs(picture(before_pixels(PLAIN, *parts)) - swapped).mean() < 2


@pytest.mark.parametrize(
    "parts",
    [
        [FIRST],
        [FIRST, FIRST, SECOND],
        [part(0, 1, PROFILE)],
        [part(0, 2, PROFILE[:HALF]), part(1, 2, PROFILE[HALF:])],
        [part(1, 0, PROFILE)],
        [FIRST, part(2, 3, PROFILE[HALF:])],
        [part(1, 1, PROFILE[:HALF]), FIRST, SECOND],
        [part(1, 1, PROFILE[:-30])],
    ],
)
def test_a_profile_that_browsers_ignore_is_ignored(parts: list[bytes]) -> None:
    assert np.array_equal(picture(with_segments(PLAIN, *parts)), picture(PLAIN))


def test_a_profile_of_colours_applies_to_a_grey_picture() -> None:
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    curve = linear.index(b"para", 128)
    linear = linear[: curve + 8] + b"\0\0\0\0\0\1\0\0" + linear[curve + 16 :]
    grey = encoded(gradient().convert("L"), "JPEG", quality=95, icc_profile=linear)
    coloured = encoded(gradient().convert("L").convert("RGB"), "JPEG", quality=95, icc_profile=linear)
    assert np.abs(picture(grey).astype(int) - picture(coloured)).mean() < 1
    assert picture(grey).mean() > picture(without_segments(grey, 0xE2)).mean() + 20


@pytest.mark.parametrize(
    "data",
    [
        CMYK,
        with_segments(PLAIN, JFIF, adobe(0)),
        with_segments(PLAIN, adobe(0), adobe(1)),
        named(PLAIN, b"RGB"),
    ],
)
def test_a_colour_model_that_libraries_guess_differently_is_ambiguous(data: bytes) -> None:
    assert decode(data).ambiguous == ("colour_declaration",)


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        RGB,
        with_segments(PLAIN, JFIF, adobe(1)),
        with_segments(PLAIN, JFIF),
        with_segments(CMYK, adobe(0)),
        with_segments(CMYK, JFIF, adobe(2)),
        encoded(gradient().convert("L"), "JPEG"),
        encoded(gradient(), "JPEG", progressive=True),
    ],
)
def test_the_colours_that_programs_write_are_clear(data: bytes) -> None:
    assert decode(data).ambiguous == ()
