"""GIF: frames are composed as browsers do, and what is not drawn is transparent."""

import io
import struct

import pytest
from PIL import Image

from service.media.gif_file import OpenGifFile, gif_palette_bytes
from tests.unit.media.decoding import decode
from tests.unit.media.image_files import BLUE, GREEN, RED, animation, encoded, plain

CLEAR = (0, 0, 0, 0)


def opened(data: bytes) -> OpenGifFile:
    return OpenGifFile(io.BytesIO(data), "")


def small_frame_on(canvas: tuple[int, int], at: tuple[int, int] = (0, 0)) -> bytes:
    """Return a red frame of 8 × 8 pixels on a larger canvas."""
    data = bytearray(encoded(plain(RED, (8, 8)), "GIF"))
    frame = data.index(b",")
    data[6:10] = b"".join(side.to_bytes(2, "little") for side in canvas)
    data[frame + 1 : frame + 5] = b"".join(place.to_bytes(2, "little") for place in at)
    return bytes(data)


def pixel(image: OpenGifFile, number: int, place: tuple[int, int]) -> object:
    image.seek(number)
    image.load()
    return image.getpixel(place)


def test_what_no_frame_covers_is_transparent() -> None:
    image = opened(small_frame_on((20, 16), (4, 4)))
    assert (pixel(image, 0, (0, 0)), pixel(image, 0, (5, 5))) == (CLEAR, (*RED, 255))


def test_the_canvas_makes_room_for_the_first_frame() -> None:
    assert opened(small_frame_on((4, 4))).size == (8, 8)


def test_a_frame_that_covers_its_canvas_is_opaque() -> None:
    image = opened(encoded(plain(RED), "GIF"))
    image.load()
    assert (image.mode, image.getpixel((3, 3))) == ("RGB", RED)


def red_then_blue(disposal: int) -> bytes:
    """Return a red frame on the left half of the canvas, which is disposed of, and a blue one on the right half."""
    red, blue = (encoded(plain(colour, (8, 8)), "GIF") for colour in (RED, BLUE))
    screen = b"GIF89a" + struct.pack("<2H", 16, 8) + b"\0\0\0"
    frames = [screen]
    for data, left, flags in ((red, 0, disposal << 2), (blue, 8, 0)):
        palette, start = data[13 : 13 + gif_palette_bytes(data[10:11])], data.index(b",")
        description = struct.pack("<4HB", left, 0, 8, 8, 0x80 | data[10] & 7)
        frames += [b"!\xf9\4" + bytes((flags, 1, 0, 0, 0)), b",", description, palette, data[start + 10 : -1]]
    return b"".join([*frames, b";"])


@pytest.mark.parametrize("disposal", [0, 1, 5, 6, 7])
def test_a_frame_stays_unless_it_is_disposed_of(disposal: int) -> None:
    image = opened(red_then_blue(disposal))
    assert (pixel(image, 1, (3, 3)), pixel(image, 1, (12, 3))) == (RED, BLUE)


@pytest.mark.parametrize("disposal", [2, 3, 4])
def test_a_frame_leaves_what_was_there_before_or_nothing(disposal: int) -> None:
    image = opened(red_then_blue(disposal))
    assert (pixel(image, 1, (3, 3)), pixel(image, 1, (12, 3))) == (CLEAR, (*BLUE, 255))


def test_frames_are_read_in_any_order() -> None:
    image = opened(animation("GIF", [RED, GREEN, BLUE]))
    assert [pixel(image, number, (2, 2)) for number in (2, 0, 1, 1, 2)] == [BLUE, RED, GREEN, GREEN, BLUE]


def test_there_is_no_frame_behind_the_last() -> None:
    with pytest.raises(EOFError):
        opened(animation("GIF", [RED, GREEN])).seek(2)


def test_the_picture_of_a_frame_is_an_image() -> None:
    assert isinstance(opened(encoded(plain(), "GIF")), Image.Image)


def test_a_file_that_ends_within_a_frame_is_judged_by_the_frames_before_it() -> None:
    data = animation("GIF", [RED, GREEN, BLUE])
    image = decode(data[:-4])
    assert (image.frames_total, image.ambiguous) == (2, ("truncated",))
    assert decode(data[:-1]).ambiguous == ()


CONTROL_OF_FIVE = b"!\xf9\5\0\0\0\0\0\0"
FRAME = encoded(plain(GREEN), "GIF")[encoded(plain(GREEN), "GIF").index(b",") : -1]
CODES_AT = 10


@pytest.mark.parametrize("junk", [b"\0", b"x", CONTROL_OF_FIVE, FRAME[:CODES_AT] + b"\x09" + FRAME[CODES_AT + 1 :]])
def test_frames_behind_what_browsers_do_not_read_are_not_judged_and_ambiguous(junk: bytes) -> None:
    data = encoded(plain(RED), "GIF")[:-1]
    image = decode(data + junk + FRAME * 5 + b";")
    assert image.frames_total == 1
    assert image.ambiguous == ("structure",)
    assert decode(data + FRAME * 5 + b";").frames_total == 6


def test_zeros_instead_of_the_end_mark_are_not_ambiguous() -> None:
    assert decode(encoded(plain(RED), "GIF")[:-1] + bytes(20)).ambiguous == ()


def test_a_picture_without_a_palette_is_black() -> None:
    data = bytearray(encoded(Image.linear_gradient("L").resize((32, 32)), "GIF"))
    palette = gif_palette_bytes(bytes(data[10:11]))
    data[10] &= 0x7F
    image = decode(bytes(data[:13] + data[13 + palette :]))
    assert set(image.pixels[0]) == {0}
