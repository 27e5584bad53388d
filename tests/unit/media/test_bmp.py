"""BMP files with an alpha channel, as their headers declare it."""

import numpy as np
import pytest

from testing.evasion.files.bmp_file import BITFIELDS, INFO, INFO_V3, PLAIN, V4, V5, bmp, wide_rows
from tests.unit.media.decoding import decode, middle, picture
from tests.unit.media.image_files import RED, WHITE

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
