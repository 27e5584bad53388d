"""GIF files with any disposal, transparency, place and time of their frames."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from testing.evasion.files.png_file import Samples

_PASSES = ((0, 8), (4, 8), (2, 4), (1, 2))


@dataclass(frozen=True, slots=True)
class GifFrame:
    """One frame: indices into a palette of 256 colours."""

    indices: Samples
    palette: bytes
    delay_cs: int = 10
    disposal: int = 0
    transparent: int | None = None
    offset: tuple[int, int] = (0, 0)
    interlaced: bool = False


def gif(
    size: tuple[int, int],
    frames: Sequence[GifFrame],
    *,
    loops: int | None = 0,
    background: int = 0,
    global_palette: bytes = b"",
) -> bytes:
    """Return a GIF; `loops` is how often it repeats, 0 for ever, None says nothing."""
    flags = 0xF7 if global_palette else 0x70
    opening = b"GIF89a" + struct.pack("<HHBBB", *size, flags, background, 0) + global_palette
    looping = b"" if loops is None else b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", loops) + b"\0"
    return opening + looping + b"".join(map(_frame, frames)) + b";"


def _frame(frame: GifFrame) -> bytes:
    height, width = frame.indices.shape
    flags = frame.disposal << 2 | (frame.transparent is not None)
    control = b"!\xf9\x04" + struct.pack("<BHBB", flags, frame.delay_cs, frame.transparent or 0, 0)
    kind = 0x87 | (0x40 if frame.interlaced else 0)
    descriptor = b"," + struct.pack("<HHHHB", *frame.offset, width, height, kind)
    order = [row for first, step in _PASSES for row in range(first, height, step)]
    indices = frame.indices[order] if frame.interlaced else frame.indices
    return control + descriptor + frame.palette + b"\x08" + b"".join(_blocks(_uncompressed(indices.tobytes()))) + b"\0"


def _uncompressed(indices: bytes) -> bytes:
    """Return LZW codes of 9 bits: cleared before the table grows to 10."""
    bits = length = 0
    codes = bytearray()
    stream = [code for start in range(0, len(indices), 250) for code in (256, *indices[start : start + 250])]
    for code in (*stream, 257):
        bits |= code << length
        length += 9
        while length >= 8:
            codes.append(bits & 0xFF)
            bits >>= 8
            length -= 8
    codes.append(bits & 0xFF)
    return bytes(codes)


def _blocks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 255):
        part = data[start : start + 255]
        yield bytes([len(part)]) + part
