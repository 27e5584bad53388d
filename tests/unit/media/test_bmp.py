"""BMP files with an alpha channel, as their headers declare it."""

import numpy as np
import pytest

from service.core.errors import ModstreamError
from testing.evasion.files.bmp_file import (
    BITFIELDS,
    INFO,
    INFO_V3,
    OS2,
    PLAIN,
    RLE24,
    V4,
    V5,
    bmp,
    packed_rows,
    wide_rows,
)
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


RGB_444, RGB_101010 = (0xF00, 0xF0, 0xF), (0x3FF00000, 0xFFC00, 0x3FF)


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize(
    ("bits", "masks", "value"),
    [
        (16, RGB_444, 0xF80),
        (16, (0x1F, 0x7E0, 0xF800), 0x1F | 0x20 << 5),
        (32, RGB_101010, 0x3FF << 20 | 0x200 << 10),
        (32, (0xFF, 0xFF00, 0xFF0000), 0x80FF),
        (32, (0x7FE, 0x3F800, 0x80000000), 0x7FE | 0x40 << 11),
    ],
)
def test_colours_are_read_by_any_masks(bits: int, masks: tuple[int, ...], value: int, *, top_down: bool) -> None:
    values = np.zeros((8, 7), np.uint32)
    values[:4] = value
    rows = wide_rows(values, bits, top_down=top_down)
    shown = picture(bmp((7, 8), bits, rows, compression=BITFIELDS, masks=masks, top_down=top_down))
    assert shown[0, 0].tolist() == pytest.approx([255, 128, 0], abs=9)
    assert list(shown[7, 6]) == [0, 0, 0]


@pytest.mark.parametrize(("alpha", "shown"), [(0, WHITE), (1, RED)])
def test_a_single_bit_of_opacity_counts_with_a_new_header_only(alpha: int, shown: tuple[int, int, int]) -> None:
    rows = wide_rows(np.full(SIZE, 0x7C00 | alpha << 15, np.uint32), 16)
    masks = (0x7C00, 0x3E0, 0x1F, 0x8000)
    assert middle(picture(bmp(SIZE, 16, rows, header=V4, compression=BITFIELDS, masks=masks))) == list(shown)
    assert middle(picture(bmp(SIZE, 16, rows, header=INFO_V3, compression=BITFIELDS, masks=masks))) == list(RED)


@pytest.mark.parametrize("masks", [(0xF0F, 0xF0, 0xF000), (0xFF, 0xFF, 0xF00), (0xF0000, 0xF0, 0xF), (0, 0, 0)])
def test_masks_that_no_browser_takes_are_refused(masks: tuple[int, ...]) -> None:
    rows = wide_rows(np.full(SIZE, 0xFFFF, np.uint32), 16)
    with pytest.raises(ModstreamError):
        decode(bmp(SIZE, 16, rows, compression=BITFIELDS, masks=masks))


@pytest.mark.parametrize("palette", [[RED, WHITE, BLUE, (0, 255, 0)], [RED, WHITE, BLUE]])
def test_two_bits_name_one_of_four_colours(palette: list[tuple[int, int, int]]) -> None:
    indices = np.zeros((3, 5), int)
    indices[0, 4], indices[2, 0] = 2, 1
    shown = picture(bmp((5, 3), 2, packed_rows(indices, 2), palette=palette))
    assert [list(shown[0, 4]), list(shown[2, 0]), list(shown[1, 1])] == [list(BLUE), list(WHITE), list(RED)]


def runs_of_colours(size: tuple[int, int], codes: bytes) -> bytes:
    return bmp(size, 24, codes, header=OS2, compression=RLE24)


def test_runs_of_colours_are_read() -> None:
    # The rows come from the bottom: a run of four, then a run of one and three colours by themselves.
    red, blue = b"\0\0\xff", b"\xff\0\0"
    codes = b"\4" + red + b"\0\0" + b"\1" + red + b"\0\3" + blue * 3 + b"\0" + b"\0\1"
    image = decode(runs_of_colours((4, 2), codes))
    assert image.ambiguous == ()
    assert image.pixels[0] == bytes(RED) + bytes(BLUE) * 3 + bytes(RED) * 4


@pytest.mark.parametrize(
    "codes", [b"", b"\1\0\0\xff\0\1", b"\0\2\1\1\3\0\0\xff", b"\xff\0\0\xff", b"\0\xff\0\0\xff", b"\4\0\0", b"\0\2\1"]
)
def test_pixels_that_runs_of_colours_leave_out_are_ambiguous(codes: bytes) -> None:
    assert decode(runs_of_colours((4, 2), codes)).ambiguous == ("opacity",)
