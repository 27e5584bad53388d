import struct
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from service.media.orientation import Orientation, read_orientation
from tests.unit.media.decoding import decode, picture
from tests.unit.media.image_files import encoded, gradient, png_chunk
from tests.unit.media.jpeg_files import (
    BYTE,
    EXIF_DIRECTORY,
    LONG,
    SHORT,
    Entry,
    before_pixels,
    exif,
    segment,
    turned,
    with_segments,
    xmp,
)

JPEG = encoded(gradient(), "JPEG", quality=95)


def block(*directories: Sequence[Entry], order: str = ">", magic: int = 42) -> bytes:
    return exif(*directories, order=order, magic=magic)[10:]


def within_the_main_directory(value: int) -> bytes:
    inner = struct.pack(">H", 1) + struct.pack(">HHIHHI", 0x0112, SHORT, 1, value, 0, 0)
    return block([(EXIF_DIRECTORY, LONG, 1, struct.pack(">I", 26))]) + inner


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("value", range(1, 9))
def test_a_plain_entry_is_clear(value: int, order: str) -> None:
    assert read_orientation([block([turned(value, order=order)], order=order)]) == Orientation(value)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_values_without_a_meaning_are_upright(value: int) -> None:
    assert read_orientation([block([turned(value)])]) == Orientation(1)


@pytest.mark.parametrize("broken", [b"", b"II", b"zzzzzzzzzzzz", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0"])
def test_exif_that_cannot_be_read_is_upright(broken: bytes) -> None:
    assert read_orientation([broken]) == Orientation(1)


@pytest.mark.parametrize(
    ("blocks", "shown"),
    [
        ([block([turned(6, LONG)])], 1),
        ([block([turned(6, BYTE)])], 1),
        ([block([turned(6, count=2)])], 1),
        ([block([turned(6)], magic=43)], 1),
        ([block([turned(3), turned(6)])], 3),
        ([block([turned(9), turned(6)])], 6),
        ([block([turned(3, LONG), turned(6)])], 6),
        ([within_the_main_directory(6)], 6),
        ([block([turned(6)]), block([turned(8)])], 6),
        ([block([]), block([turned(8)])], 1),
        ([b"zzzzzzzzzzzz", block([turned(8)])], 1),
    ],
)
def test_what_readers_turn_differently_is_turned_as_in_chromium_and_not_clear(blocks: list[bytes], shown: int) -> None:
    assert read_orientation(blocks) == Orientation(shown, is_clear=False)


def test_the_thumbnail_s_own_orientation_is_not_the_picture_s() -> None:
    assert read_orientation([block([turned(3)], [turned(6)])]) == Orientation(3)
    assert read_orientation([block([], [turned(6)])]) == Orientation(1)


def test_xmp_turns_nothing_and_matters_only_without_exif() -> None:
    says_3 = xmp(3)
    assert read_orientation([], says_3) == Orientation(1, is_clear=False)
    assert read_orientation([block([turned(6)])], says_3) == Orientation(6)
    assert read_orientation([block([turned(1)])], says_3) == Orientation(1)
    assert read_orientation([], xmp(1)) == Orientation(1)


def test_directories_that_name_each_other_again_and_again_are_left_soon() -> None:
    entries = 5000
    many = block([(EXIF_DIRECTORY, LONG, 1, struct.pack(">I", 8))] * entries)
    assert read_orientation([many + block([turned(6)])]) == Orientation(1)


def test_a_jpeg_is_turned_by_its_first_exif_alone() -> None:
    assert decode(with_segments(JPEG, exif([turned(6)]))).frame_sizes == ((32, 48),)
    assert decode(before_pixels(JPEG, exif([turned(6)]))).frame_sizes == ((32, 48),)
    image = decode(with_segments(JPEG, exif([turned(3)]), exif([turned(6)])))
    assert (image.frame_sizes, image.ambiguous) == (((48, 32),), ("orientation",))


def test_a_jpeg_turned_by_xmp_alone_is_shown_as_it_is_stored() -> None:
    data = with_segments(JPEG, xmp(3))
    assert np.array_equal(picture(data), picture(JPEG))
    assert decode(data).ambiguous == ("orientation",)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_webp_is_not_turned_and_says_so(orientation: int) -> None:
    """Browsers show it as it is stored, viewers of the systems turn it."""
    stored = Image.Exif()
    stored[0x0112] = orientation
    image = decode(encoded(gradient(), "WEBP", exif=stored, lossless=True))
    assert image.frame_sizes == ((48, 32),)
    assert image.ambiguous == (() if orientation == 1 else ("orientation",))


def test_a_png_is_turned_by_exif_before_its_pixels_only() -> None:
    data = encoded(gradient(), "PNG")
    pixels, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
    chunk = png_chunk(b"eXIf", block([turned(6)]))
    assert decode(data[:pixels] + chunk + data[pixels:]).frame_sizes == ((32, 48),)
    assert decode(data[:end] + chunk + data[end:]).frame_sizes == ((48, 32),)
    text = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6)[33:])
    assert decode(data[:pixels] + text + data[pixels:]).frame_sizes == ((48, 32),)


def test_pictures_of_cameras_are_clear() -> None:
    stored = Image.Exif()
    stored[0x0112], stored[0x010F], stored[0x0132] = 6, "Camera", "2026:01:01 00:00:00"
    data = encoded(gradient(), "JPEG", exif=stored, quality=95)
    assert decode(with_segments(data, segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"), xmp(6))).ambiguous == ()
