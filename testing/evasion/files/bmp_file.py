"""BMP files with any of the seven headers, and every way to store their pixels."""

import struct
from collections.abc import Sequence

import numpy as np

from testing.evasion.files.png_file import Samples

CORE, INFO, INFO_V2, INFO_V3, OS2, V4, V5 = 12, 40, 52, 56, 64, 108, 124
PLAIN, RLE8, RLE4, BITFIELDS = 0, 1, 2, 3
RLE24 = 4
"""With the header of OS/2 alone."""

_SRGB = 0x73524742


def bmp(
    size: tuple[int, int],
    bits: int,
    rows: bytes,
    *,
    header: int = INFO,
    compression: int = PLAIN,
    masks: Sequence[int] = (),
    palette: Sequence[tuple[int, int, int]] = (),
    top_down: bool = False,
    gap: int = 0,
) -> bytes:
    """Return a BMP; `masks` are those of red, green, blue and alpha, inside the header or behind it."""
    width, height = size
    if header == CORE:
        info = struct.pack("<IHHHH", CORE, width, height, 1, bits)
    else:
        stated = -height if top_down else height
        info = struct.pack(
            "<IiiHHIIiiII", header, width, stated, 1, bits, compression, len(rows), 2835, 2835, len(palette), 0
        )
    if header in {INFO_V2, INFO_V3, V4, V5}:
        info += struct.pack("<4I", *masks, *[0] * (4 - len(masks)))[: header - INFO]
    if header in {V4, V5}:
        info += struct.pack("<I", _SRGB)
    behind = struct.pack(f"<{len(masks)}I", *masks) if header == INFO else b""
    colours = b"".join(bytes([blue, green, red]) + (b"" if header == CORE else b"\0") for red, green, blue in palette)
    before = info.ljust(header, b"\0") + behind + colours + bytes(gap)
    offset = 14 + len(before)
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + before + rows


def plain_rows(samples: Samples, *, top_down: bool = False) -> bytes:
    """Return rows of bytes, from the bottom unless `top_down`, each padded to four."""
    rows = samples.reshape(samples.shape[0], -1).astype(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
    return (padded if top_down else padded[::-1]).tobytes()


def packed_rows(indices: Samples, bits: int) -> bytes:
    """Return rows of 1, 2 or 4 bits a pixel."""
    single = np.unpackbits(indices.astype(np.uint8)[:, :, None], axis=2)[:, :, 8 - bits :]
    return plain_rows(np.packbits(single.reshape(indices.shape[0], -1), axis=1))


def wide_rows(values: Samples, bits: int, *, top_down: bool = False) -> bytes:
    """Return rows of 16 or 32 bits a pixel."""
    stored = np.ascontiguousarray(values.astype(f"<u{bits // 8}")).view(np.uint8)
    return plain_rows(stored.reshape(values.shape[0], -1), top_down=top_down)


def run_lengths(indices: Samples) -> bytes:
    """Return RLE8 codes: each pixel a run of one."""
    rows = (b"".join(bytes([1, int(index)]) for index in row) + b"\0\0" for row in indices[::-1])
    return b"".join(rows)[:-2] + b"\0\1"


def runs_of_colours(samples: Samples) -> bytes:
    """Return RLE24 codes of colours of 8 bits: each pixel a run of one."""
    rows = (b"".join(bytes([1, *pixel[::-1]]) for pixel in row.tolist()) + b"\0\0" for row in samples[::-1])
    return b"".join(rows)[:-2] + b"\0\1"
