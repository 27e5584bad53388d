"""BMP files with an alpha channel, as their headers declare it."""

import numpy as np
import pytest

from testing.evasion.files.bmp_file import BITFIELDS, INFO, INFO_V3, PLAIN, V4, V5, bmp, packed_rows, wide_rows
from tests.unit.media.decoding import decode, middle, picture
from tests.unit.media.image_files import BLUE, RED, WHITE, bmp_rle8

MASKS = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
SIZE = (8, 8)


def transparent_red(header: int, compression: int, masks: tuple[int, ...] = MASKS) -> bytes:
    rows = wide_rows(np.full(SIZE, 0x00FF0000, np.uint32), 32)
    return bmp(SIZE, 32, rows, header=header, compression=compression, masks=masks)


@pytest.mark.parametrize("compression", [PLAIN, BITFIELDS])
@pytest.mark.parametrize("header", [V4, V5])
def test_new_headers_make_pixels_transparent(header: int, compression: int) -> None:
    assert middle(picture(transparent_red(header, compression))) == list(WHITE)


def test_older_headers_and_those_without_a_mask_do_not() -> None:
    for data in (
        transparent_red(INFO, PLAIN, ()),
        transparent_red(INFO_V3, PLAIN),
        transparent_red(V5, PLAIN, MASKS[:3]),
    ):
        assert middle(picture(data)) == list(RED)


def test_a_mask_at_another_place_is_ambiguous() -> None:
    assert decode(transparent_red(V5, PLAIN)).ambiguous == ()
    assert decode(transparent_red(V5, PLAIN, (0xFF0000, 0xFF00, 0xFF, 0xFF))).ambiguous == ("structure",)


BLACK_AND_WHITE = [(0, 0, 0), (255, 255, 255)]


@pytest.mark.parametrize(("bits", "beyond"), [(8, 2), (8, 255), (4, 2), (4, 15)])
def test_colours_beyond_the_palette_are_black(bits: int, beyond: int) -> None:
    for index, shown in ((beyond, [0, 0, 0]), (1, list(WHITE))):
        rows = packed_rows(np.full(SIZE, index), bits)
        assert middle(picture(bmp(SIZE, bits, rows, palette=BLACK_AND_WHITE))) == shown


def test_a_palette_that_announces_too_many_colours_has_those_that_pixels_can_name() -> None:
    data = bytearray(bmp(SIZE, 8, packed_rows(np.full(SIZE, 255), 8), palette=[*[(0, 0, 0)] * 255, RED]))
    data[46:50] = (1000).to_bytes(4, "little")
    assert middle(picture(bytes(data))) == list(RED)


@pytest.mark.parametrize(
    "codes",
    [
        b"\2\1\0\0\1\1\0\0\0\1",  # the last row ends early
        b"\0\2\1\0\1\1\0\0\2\1\0\1",  # moved to the right
    ],
)
def test_pixels_that_run_lengths_skip_are_ambiguous(codes: bytes) -> None:
    assert decode(bmp_rle8((2, 2), codes)).ambiguous == ("opacity",)


@pytest.mark.parametrize("end", [b"", b"\0\0", b"\0\1", b"\0\0\0\1"])
def test_run_lengths_of_all_pixels_are_not(end: bytes) -> None:
    image = decode(bmp_rle8((3, 2), b"\3\1\0\0\0\3\1\1\1\0" + end))
    assert image.ambiguous == ()
    assert image.pixels[0] == bytes(BLUE) * 6
