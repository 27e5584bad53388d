"""HEIC, as phones write it: turned once, in its declared colours, its primary picture alone."""

import numpy as np
import pytest

from service.media.errors import ImageCorruptError, TooManyPixelsError, UnsupportedFormatError
from service.media.formats import sniff
from service.media.prepare.isobmff import MAX_BOXES, read_picture_file
from tests.unit.media.decoding import decode, picture
from tests.unit.media.heif_files import Item, box, coded, grid, heif, nclx, stored

PICTURE, BLUE = coded("two", 0), coded("two", 1)
RED = (220, 40, 30)


def hidden(item: Item) -> Item:
    return Item(item.kind, item.payload, item.properties, is_hidden=True)


def is_near(pixel: object, colour: tuple[int, int, int], tolerance: int = 6) -> bool:
    return bool(np.abs(np.asarray(pixel, int) - colour).max() <= tolerance)


@pytest.mark.parametrize("name", ["plain", "ten"])
def test_a_picture_of_8_and_of_10_bits_is_read(name: str) -> None:
    image = decode(stored(name))
    assert (image.media_type, image.width, image.height, image.frames_total) == ("image/heic", 96, 64, 1)
    assert image.ambiguous == ()
    assert is_near(picture(stored(name))[10, 10], RED)


def test_a_picture_is_turned_once_though_exif_says_so_too() -> None:
    pixels = picture(stored("turned"))
    assert pixels.shape == (96, 64, 3)
    assert is_near(pixels[10, -10], RED)


@pytest.mark.parametrize(
    ("turn", "shape", "red_at"),
    [(b"irot\1", (96, 64), (-10, 10)), (b"irot\2", (64, 96), (-10, -10)), (b"imir\1", (64, 96), (10, -10))],
)
def test_rotation_and_mirror_of_the_container_are_applied(
    turn: bytes, shape: tuple[int, int], red_at: tuple[int, int]
) -> None:
    pixels = picture(heif([PICTURE.but(box(turn[:4], turn[4:]))]))
    assert pixels.shape[:2] == shape
    assert is_near(pixels[red_at], RED)


def test_a_grid_of_tiles_is_one_picture() -> None:
    tiles = heif([grid(2, 1, 192, 64), hidden(PICTURE), hidden(BLUE)], references={(b"dimg", 1): [2, 3]})
    pixels = picture(tiles)
    assert pixels.shape == (64, 192, 3)
    assert is_near(pixels[10, 10], RED)
    assert is_near(pixels[10, -10], (0, 0, 255))
    assert decode(tiles).ambiguous == ()


@pytest.mark.parametrize(
    ("colours", "shown"),
    [(nclx(1, 13), RED), (nclx(1, 8), (239, 110, 97)), (nclx(12, 13), (241, 0, 0))],
    ids=["sRGB", "linear", "Display P3"],
)
def test_colours_declared_by_numbers_are_applied(colours: bytes, shown: tuple[int, int, int]) -> None:
    assert is_near(picture(heif([PICTURE.but(colours)]))[10, 10], shown)


def test_another_picture_in_the_file_makes_it_ambiguous() -> None:
    assert decode(stored("two")).ambiguous == ("second_image",)
    assert decode(heif([PICTURE, BLUE])).ambiguous == ("second_image",)


@pytest.mark.parametrize("brands", [(b"mif1", b"heic"), (b"heix", b"mif1"), (b"msf1", b"heic"), (b"mif1", b"miaf")])
def test_every_brand_of_stills_is_known(brands: tuple[bytes, ...]) -> None:
    data = heif([PICTURE], brands=brands)
    assert sniff(data) == "image/heic"
    assert is_near(picture(data)[10, 10], RED)


def test_a_video_is_named_as_one() -> None:
    with pytest.raises(UnsupportedFormatError, match="video"):
        sniff(heif([PICTURE], brands=(b"isom", b"mp42", b"avc1")))


def test_a_file_that_ends_early_is_corrupt() -> None:
    with pytest.raises(ImageCorruptError):
        decode(heif([PICTURE])[:-200])


def test_a_grid_that_claims_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    bomb = heif([grid(2, 1, 60_000, 60_000), hidden(PICTURE), hidden(BLUE)], references={(b"dimg", 1): [2, 3]})
    with pytest.raises(TooManyPixelsError):
        decode(bomb)


def test_a_file_of_very_many_boxes_is_read_up_to_a_limit() -> None:
    assert read_picture_file(box(b"free") * (MAX_BOXES + 1) + heif([PICTURE])).kind == b""


@pytest.mark.parametrize("at", range(0, 480, 7))
def test_boxes_that_lie_are_an_error_or_a_picture(at: int) -> None:
    data = bytearray(heif([PICTURE.but(nclx(1, 13)), BLUE], references={(b"thmb", 2): [1]}))
    data[at] ^= 0xFF
    try:
        decode(bytes(data))
    except (ImageCorruptError, UnsupportedFormatError, TooManyPixelsError):
        return
