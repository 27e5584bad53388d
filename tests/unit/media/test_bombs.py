"""Files that promise far more than they hold: refused by their headers, with no memory to speak of."""

import struct
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from service.core.errors import RejectedError
from service.media.errors import ImageCorruptError, TooManyPixelsError
from service.media.profiles import MAX_PROFILE_BYTES
from tests.unit.media.decoding import decode
from tests.unit.media.image_files import (
    BLUE,
    RED,
    animation,
    bmp_rle8,
    encoded,
    gradient,
    plain,
    png,
    png_chunk,
    samples_16,
)

# What reading a small file may take of Python's memory.
LITTLE = 4 * 1024 * 1024


def png_bomb() -> bytes:
    return png((60_000, 60_000), bits=8, colour_type=6, rows=[bytes(100)])


def jpeg_bomb() -> bytes:
    data = encoded(plain(), "JPEG")
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + samples_16(60_000, 60_000) + data[place + 4 :]


def gif_bomb() -> bytes:
    data = encoded(plain(), "GIF")
    return data[:6] + struct.pack("<HH", 60_000, 60_000) + data[10:]


def gif_frame_bomb() -> bytes:
    data = encoded(plain(), "GIF")
    place = data.index(b",", 13 + 6) + 5
    return data[:place] + struct.pack("<HH", 60_000, 60_000) + data[place + 4 :]


def webp_bomb() -> bytes:
    body = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + b"\xff\x3f\x00" * 2
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def webp_lossless_bomb() -> bytes:
    data = bytearray(encoded(plain(), "WEBP", lossless=True))
    data[21:25] = (0x3FFF | 0x3FFF << 14).to_bytes(4, "little")
    return bytes(data)


def avif_bomb() -> bytes:
    data = encoded(plain(), "AVIF")
    place = data.index(b"ispe") + 8
    return data[:place] + struct.pack(">II", 16_000, 16_000) + data[place + 8 :]


def bmp_bomb() -> bytes:
    return bmp_rle8((60_000, 60_000), b"\xff\x00" * 100)


BOMBS = [png_bomb, jpeg_bomb, gif_bomb, webp_bomb, webp_lossless_bomb, avif_bomb, bmp_bomb]


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.__name__)
def test_huge_sizes_are_refused_before_anything_is_decoded(bomb: Callable[[], bytes]) -> None:
    data = bomb()
    tracemalloc.start()
    try:
        with pytest.raises(TooManyPixelsError):
            decode(data)
        assert tracemalloc.get_traced_memory()[1] < LITTLE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_compressed_text_and_profiles_are_not_blown_up(kind: bytes) -> None:
    """Nor do they cost the picture: browsers show it, and the verdict names a profile that was not used."""
    hundred_megabytes = zlib.compress(bytes(100_000_000), 9)
    head = {b"zTXt": b"Comment\0\0", b"iTXt": b"Comment\0\x01\0\0\0", b"iCCP": b"profile\0\0"}[kind]
    data = png((1, 1), bits=8, colour_type=2, rows=[bytes(RED)], extra=[(kind, head + hundred_megabytes)])
    tracemalloc.start()
    try:
        image = decode(data)
        assert tracemalloc.get_traced_memory()[1] < LITTLE + (2 * MAX_PROFILE_BYTES if kind == b"iCCP" else 0)
    finally:
        tracemalloc.stop()
    assert image.pixels == (bytes(RED),)
    assert image.ambiguous == (("colour_profile",) if kind == b"iCCP" else ())


def test_an_apng_that_claims_more_frames_than_it_has_is_judged_by_those_that_browsers_show() -> None:
    data = animation("PNG", [RED, BLUE])
    place = data.index(b"acTL")
    claimed = png_chunk(b"acTL", struct.pack(">II", 1000, 0))
    image = decode(data[: place - 4] + claimed + data[place + 4 + 8 + 4 :])
    assert image.frames_total == 2
    assert image.ambiguous == ("animation_control",)


def test_a_gif_frame_that_reaches_far_beyond_its_canvas_is_refused() -> None:
    # Browsers make room for the first frame.
    with pytest.raises(TooManyPixelsError):
        decode(gif_frame_bomb())


def test_a_later_gif_frame_that_reaches_far_beyond_the_first_is_refused() -> None:
    data = animation("GIF", [RED, BLUE])
    place = data.rindex(b",\0\0\0\0") + 5
    with pytest.raises(RejectedError):
        decode(data[:place] + struct.pack("<HH", 60_000, 60_000) + data[place + 4 :])


def test_run_lengths_that_end_early_are_corrupt() -> None:
    with pytest.raises(ImageCorruptError):
        decode(bmp_rle8((500, 500), b"\xff\x00" * 10))


def test_a_file_as_large_as_it_says_is_no_bomb() -> None:
    assert decode(encoded(gradient((900, 900)), "PNG")).width == 900
