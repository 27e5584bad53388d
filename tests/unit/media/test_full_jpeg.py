"""A JPEG whose blocks are brighter or darker only by what is cut off beyond black and white, which reduction misses."""

import struct

import pytest

from tests.unit.media.decoding import decode, frames

BLOCKS = 32
"""Across and down."""
QUANTUM, STRENGTH = 16, 80
END_OF_BLOCK, SIXTEEN_ZEROS, BEHIND_NINE, BEHIND_THREE, BEHIND_EIGHT = range(5)
AC_SYMBOLS = bytes([0x00, 0xF0, 0x97, 0x37, 0x87])
"""Zeros before a coefficient of seven bits, and its bits."""


def segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", 2 + len(body)) + body


def block(sign: int) -> str:
    """Return the bits of a grey block with three coefficients, of the fourth row, column, and both.

    A quarter of its pixels is much above the grey, the others a third as far below it, or the other way round.
    """
    value = f"{STRENGTH if sign > 0 else STRENGTH ^ 0x7F:07b}"
    codes = {symbol: f"{symbol:03b}" for symbol in range(5)}
    three = codes[BEHIND_NINE] + value, codes[BEHIND_THREE] + value, codes[SIXTEEN_ZEROS] + codes[BEHIND_EIGHT] + value
    return "0" + "".join(three) + codes[END_OF_BLOCK]


def two_halves() -> bytes:
    """Return a picture with a dark left and a light right half of one average before it is cut to 8 bits."""
    bits = (block(1) * (BLOCKS // 2) + block(-1) * (BLOCKS // 2)) * BLOCKS
    padded = bits + "1" * (-len(bits) % 8)
    scan = int(padded, 2).to_bytes(len(padded) // 8).replace(b"\xff", b"\xff\0")
    size = struct.pack(">BHH", 8, 8 * BLOCKS, 8 * BLOCKS)
    dc = b"\0" + bytes([1, *[0] * 15]) + b"\0"
    ac = b"\x10" + bytes([0, 0, 5, *[0] * 13]) + AC_SYMBOLS
    return (
        b"\xff\xd8" + segment(0xDB, b"\0" + bytes([QUANTUM]) * 64) + segment(0xC0, size + b"\1\1\x11\0")
        + segment(0xC4, dc) + segment(0xC4, ac) + segment(0xDA, b"\1\1\0\0\x3f\0") + scan + b"\xff\xd9"
    )  # fmt: skip


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_picture_beyond_black_and_white_is_seen_if_jpegs_are_decoded_in_full(factor: int) -> None:
    side = 8 * BLOCKS // factor // 2
    data = two_halves()
    (shown,) = frames(data, target_pixels=side * side, full_jpeg=True)
    dark, light = shown[:, : side // 2 - 1].mean(), shown[:, side // 2 + 1 :].mean()
    assert (dark < 90, light > 165) == (True, True)
    assert decode(data, target_pixels=side * side).width == 8 * BLOCKS


def test_a_reduced_jpeg_does_not_show_it() -> None:
    """This is what `media.decode.full_jpeg` is for: if this fails, the setting has lost its reason."""
    (shown,) = frames(two_halves(), target_pixels=64 * 64)
    assert shown.max() - shown.min() < 4
