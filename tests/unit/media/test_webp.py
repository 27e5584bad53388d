"""WebP: opacity is taken from the pixels, as in browsers, whatever the headers say of it."""

import io

from PIL import Image

from tests.unit.media.decoding import decode, frames, picture
from tests.unit.media.image_files import GREEN, RED, encoded

OPACITY = Image.linear_gradient("L").resize((32, 32)).point([255 * (value > 127) for value in range(256)])


def see_through(colour: tuple[int, int, int]) -> Image.Image:
    image = Image.new("RGBA", (32, 32), colour)
    image.putalpha(OPACITY)
    return image


def with_bit(data: bytes, at: int, bit: int, *, is_set: bool) -> bytes:
    return data[:at] + bytes([data[at] | bit if is_set else data[at] & ~bit]) + data[at + 1 :]


def test_a_lossless_picture_that_denies_its_opacity_is_shown_with_it() -> None:
    data = encoded(see_through(RED), "WEBP", lossless=True, exact=True)
    denied = with_bit(data, data.index(b"VP8L") + 8 + 4, 0x10, is_set=False)
    assert denied != data
    assert decode(denied).pixels == decode(data).pixels
    assert (decode(data).ambiguous, decode(denied).ambiguous) == ((), ("opacity",))
    assert picture(denied)[2, 2].tolist() == [255, 255, 255]


def test_an_animation_that_denies_its_opacity_is_shown_with_it() -> None:
    data = animation(lossless=True)
    denied = with_bit(data, data.index(b"VP8X") + 8, 0x10, is_set=False)
    assert denied != data
    assert decode(denied).pixels == decode(data).pixels


def test_what_no_frame_covers_is_transparent() -> None:
    data = animation(lossless=False)  # its encoder leaves out the upper half, and says nothing of opacity
    assert not data[data.index(b"VP8X") + 8] & 0x10
    assert [view.ground for view in decode(data).views] == [None, None]
    assert frames(data)[0][2, 2].tolist() == [255, 255, 255]


def animation(*, lossless: bool) -> bytes:
    file = io.BytesIO()
    see_through(RED).save(file, "WEBP", save_all=True, append_images=[see_through(GREEN)], lossless=lossless)
    return file.getvalue()


def test_an_opaque_picture_is_judged_once() -> None:
    image = decode(encoded(Image.new("RGB", (32, 32), RED), "WEBP", lossless=True))
    assert [view.ground for view in image.views] == [None]
    assert image.ambiguous == ()
