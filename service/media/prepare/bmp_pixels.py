"""Rewrites BMP pixels that browsers show and Pillow does not read: 2 bits, odd masks, run-lengths of colours."""

import struct
from collections.abc import Sequence

from PIL import Image, ImageChops

_FILE_HEADER, _INFO, _V4 = 14, 40, 108
_BITS_AT, _COLOURS_AT = 28, 46
_PLAIN, _BY_MASKS = 0, 3
_USUAL_MASKS = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
_NO_MASK = 0

_RAW_MODES = {16: "LA", 32: "RGBA"}
"""Their bands are the bytes of a pixel, the lowest first."""

# What Pillow reads by itself, without an alpha mask.
_KNOWN = {
    16: {(0xF800, 0x7E0, 0x1F), (0x7C00, 0x3E0, 0x1F)},
    32: {(0xFF0000, 0xFF00, 0xFF), (0xFF000000, 0xFF0000, 0xFF00), (0xFF000000, 0xFF00, 0xFF), (0, 0, 0)},
}
_KNOWN_WITH_ALPHA = {
    (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
    (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
    _USUAL_MASKS,
    (0xFF000000, 0xFF00, 0xFF, 0xFF0000),
}

# Behind a zero.
_END_OF_ROW, _END, _MOVE = 0, 1, 2


def without_masks(rows: bytes, size: tuple[int, int], bits: int, masks: Sequence[int]) -> bytes | None:
    """Return a BMP of 32 bits for rows of 16 or 32 bits by the masks of red, green, blue and alpha.

    None if the masks are known to Pillow, or mean nothing to browsers either, or if rows are missing. `size` is the
    width, and the height as the file has it: negative from the top.
    """
    width, height = size
    stride = (width * bits // 8 + 3) // 4 * 4
    if (
        width <= 0
        or not height
        or _are_known(bits, masks)
        or not _are_usable(bits, masks)
        or len(rows) < stride * abs(height)
    ):
        return None
    mode = _RAW_MODES[bits]
    octets = Image.frombytes(mode, (width, abs(height)), rows, "raw", mode, stride, 1).split()
    red, green, blue, alpha = (_channel(octets, mask) if mask else None for mask in masks)
    solid = Image.new("L", octets[0].size, 0)
    merged = Image.merge("RGBA", (blue or solid, green or solid, red or solid, alpha or solid))
    return _file(size, merged.tobytes(), has_alpha=alpha is not None)


def without_runs_of_colours(codes: bytes, size: tuple[int, int]) -> tuple[bytes, bool]:
    """Return a BMP of 24 bits for run-lengths of colours, and whether they leave out pixels.

    Raises nothing: what the codes do not say stays black. `size` is the width and the height of the file.
    """
    width, height = size
    stride = (width * 3 + 3) // 4 * 4
    rows = bytearray(stride * height)
    given = x = y = at = 0
    last = len(codes) - 2
    while y < height and at <= last:
        count, value = codes[at], codes[at + 1]
        if count and at < last - 1:
            here = count if x + count <= width else width - x
            place = y * stride + 3 * x
            rows[place : place + 3 * here] = codes[at + 1 : at + 4] * here
            x += here
            given += here
            at += 4
        elif count or value == _END:
            break
        elif value == _END_OF_ROW:
            x, y, at = 0, y + 1, at + 2
        elif value == _MOVE:
            right, up = (*codes[at + 2 : at + 4], 0, 0)[:2]
            x, y, at = min(width, x + right), y + up, at + 4
        else:
            here = min(value, width - x, (last - at) // 3)
            place = y * stride + 3 * x
            rows[place : place + 3 * here] = codes[at + 2 : at + 2 + 3 * here]
            x += here
            given += here
            at += 2 + 3 * value + value % 2
    return _file(size, bytes(rows), bits=24), given < width * height


def without_two_bits(data: bytes, offset: int, size: tuple[int, int]) -> bytes | None:
    """Return a file of 2 bits a pixel as one of 8, with its palette and header; None if rows are missing."""
    width, height = size
    stride = (width * 2 + 31) // 32 * 4
    rows = data[offset : offset + stride * abs(height)]
    if width <= 0 or not height or len(rows) < stride * abs(height):
        return None
    indices = Image.frombytes("P", (width, abs(height)), rows, "raw", "P;2", stride, 1)
    wide = (width + 3) // 4 * 4
    opening = bytearray(data[:offset])
    struct.pack_into("<H", opening, _BITS_AT, 8)
    (colours,) = struct.unpack_from("<I", data, _COLOURS_AT)
    struct.pack_into("<I", opening, _COLOURS_AT, min(colours, 4) or 4)
    return bytes(opening) + indices.crop((0, 0, wide, abs(height))).tobytes()


def _are_known(bits: int, masks: Sequence[int]) -> bool:
    *colours, alpha = masks
    return tuple(colours) in _KNOWN[bits] if alpha == _NO_MASK else tuple(masks) in _KNOWN_WITH_ALPHA


def _are_usable(bits: int, masks: Sequence[int]) -> bool:
    """Return whether each mask is one run of bits of a pixel, and no two of them overlap."""
    together = 0
    for mask in masks:
        run = mask // (mask & -mask) if mask else 0
        if mask >> bits or run & (run + 1) or mask & together:
            return False
        together |= mask
    return any(masks[:3])


def _channel(octets: Sequence[Image.Image], mask: int) -> Image.Image:
    """Return the values by a mask as 8 bits: the sum of what each byte of a pixel adds to them."""
    whole = Image.new("L", octets[0].size, 0)
    step = mask & -mask
    scale = 255 / (mask // step)
    for number, octet in enumerate(octets):
        within = mask >> 8 * number & 0xFF
        if within:
            table = [round(((value & within) << 8 * number) / step * scale) for value in range(256)]
            whole = ImageChops.add(whole, octet.point(table))
    return whole


def _file(size: tuple[int, int], rows: bytes, *, has_alpha: bool = False, bits: int = 32) -> bytes:
    header = _V4 if has_alpha else _INFO
    compression = _BY_MASKS if has_alpha else _PLAIN
    info = struct.pack("<IiiHHIIiiII", header, *size, 1, bits, compression, len(rows), 0, 0, 0, 0)
    if has_alpha:
        info += struct.pack("<4I", *_USUAL_MASKS)
    offset = _FILE_HEADER + header
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + info.ljust(header, b"\0") + rows
