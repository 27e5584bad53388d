"""PNG files of every colour type, depth and order of chunks, byte by byte."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[Any]
"""Rows of columns of samples, each below 2 to the depth."""
Chunk = tuple[bytes, bytes]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGB_ALPHA: (8, 16)}

# Adam7: first column, first row, step across, step down.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_END: Chunk = (b"IEND", b"")


def chunk_bytes(kind: bytes, body: bytes, *, wrong_crc: bool = False) -> bytes:
    """Return one chunk as it stands in a file."""
    crc = zlib.crc32(kind + body) ^ wrong_crc
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def file_of(chunks: Sequence[Chunk]) -> bytes:
    """Return a file of chunks."""
    return SIGNATURE + b"".join(chunk_bytes(kind, body) for kind, body in chunks)


def chunks_of(data: bytes) -> Iterator[Chunk]:
    """Yield the chunks of a file."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def header(size: tuple[int, int], *, bits: int, colour_type: int, interlaced: bool = False) -> Chunk:
    """Return an IHDR chunk."""
    return b"IHDR", struct.pack(">IIBBBBB", *size, bits, colour_type, 0, 0, interlaced)


def pixel_data(samples: Samples, *, bits: int, interlaced: bool = False) -> bytes:
    """Return the body of IDAT: unfiltered rows, compressed."""
    if not interlaced:
        return zlib.compress(_rows(samples, bits))
    parts = (samples[top::down, left::across] for left, top, across, down in _PASSES)
    return zlib.compress(b"".join(_rows(part, bits) for part in parts if part.size))


def png(
    samples: Samples,
    *,
    bits: int,
    colour_type: int,
    interlaced: bool = False,
    before: Sequence[Chunk] = (),
    after: Sequence[Chunk] = (),
) -> bytes:
    """Return a still PNG with chunks before and after its pixels."""
    height, width = samples.shape[:2]
    opening = header((width, height), bits=bits, colour_type=colour_type, interlaced=interlaced)
    pixels = (b"IDAT", pixel_data(samples, bits=bits, interlaced=interlaced))
    return file_of([opening, *before, pixels, *after, _END])


def gamma_chunk(value: int) -> Chunk:
    """Return gAMA: 45455 is about sRGB."""
    return b"gAMA", struct.pack(">I", value)


def chromaticities_chunk(*values: int) -> Chunk:
    """Return cHRM: x and y of white, red, green and blue, in parts of 100,000."""
    return b"cHRM", struct.pack(">8I", *values)


def profile_chunk(profile: bytes, name: bytes = b"profile") -> Chunk:
    """Return iCCP."""
    return b"iCCP", name + b"\0\0" + zlib.compress(profile)


def cicp_chunk(primaries: int, transfer: int, matrix: int = 0, *, full_range: int = 1) -> Chunk:
    """Return cICP: colours by the numbers of ITU-T H.273."""
    return b"cICP", bytes([primaries, transfer, matrix, full_range])


SRGB_CHROMATICITIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
WIDE_CHROMATICITIES = (31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600)
SWAPPED_CHROMATICITIES = (31270, 32900, 15000, 6000, 30000, 60000, 64000, 33000)


def _rows(samples: Samples, bits: int) -> bytes:
    height = samples.shape[0]
    flat = samples.reshape(height, -1)
    if bits == 16:
        rows = flat.astype(">u2").view(np.uint8).reshape(height, -1)
    elif bits == 8:
        rows = flat.astype(np.uint8)
    else:
        single = np.unpackbits(flat.astype(np.uint8)[:, :, None], axis=2)[:, :, 8 - bits :]
        rows = np.packbits(single.reshape(height, -1), axis=1)
    return np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()
