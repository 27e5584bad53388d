"""Completes damaged pictures: a decoder gives up where browsers show the rows that can be unpacked."""

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.media.prepare.png_chunks import SIGNATURE, Chunk, chunks, written

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_UNKNOWN_FILTER = re.compile(rb"[^\0-\4]")
_INTERLACED_AT = 12

# Where each of Adam7's passes starts and how far its pixels lie apart, across and down.
_PASSES = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2))

# Unpacked at a time: damaged files may be as large as sound ones. The smaller one is read again byte by byte where
# unpacking fails, for what comes before the fault counts.
_OUTPUT_BYTES, _INPUT_BYTES = 256 * 1024, 4096

_FASTEST = 1


@dataclass(frozen=True, slots=True)
class Layout:
    """How the pixels of one picture lie in the file once they are unpacked."""

    row_bytes: int
    """Of a row of the whole picture, with its filter."""
    height: int
    total_bytes: int
    is_interlaced: bool


def layout(header: bytes, size: tuple[int, int]) -> Layout:
    """Return the layout of a picture of a size in a file with this header."""
    width, height = size
    bits = header[8] * _SAMPLES.get(header[9], 1)
    whole = 1 + (width * bits + 7) // 8
    if not header[_INTERLACED_AT]:
        return Layout(whole, height, whole * height, is_interlaced=False)
    total = 0
    for left, across, top, down in _PASSES:
        columns, rows = len(range(left, width, across)), len(range(top, height, down))
        total += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    return Layout(whole, height, total, is_interlaced=True)


def unpacked_bytes(data: Sequence[Chunk], wanted: Layout) -> int:
    """Return how many bytes of a picture can be unpacked, at most as many as are wanted."""
    total = 0
    for piece in _unpacked(data):
        total += len(piece)
        if total >= wanted.total_bytes:
            return wanted.total_bytes
    return total


def completed(data: Sequence[Chunk], wanted: Layout) -> tuple[list[Chunk], int]:
    """Return a picture filled up with zeros, and how many rows were there; all of them for an interlaced one."""
    packing, parts, total = zlib.compressobj(_FASTEST), list[bytes](), 0
    for piece in _sound(data, wanted):
        parts.append(packing.compress(piece))
        total += len(piece)
    missing = wanted.total_bytes - total
    for start in range(0, missing, _OUTPUT_BYTES):
        parts.append(packing.compress(bytes(min(_OUTPUT_BYTES, missing - start))))
    parts.append(packing.flush())
    rows = wanted.height if wanted.is_interlaced and total else total // wanted.row_bytes
    return list(chunks(SIGNATURE + written(b"IDAT", b"".join(parts)))), rows


def _sound(data: Sequence[Chunk], wanted: Layout) -> Iterator[bytes]:
    """Yield what can be unpacked, up to the first row with a filter that does not exist."""
    total = 0
    for piece in _unpacked(data):
        whole = piece[: wanted.total_bytes - total]
        first = -total % wanted.row_bytes
        wrong = None if wanted.is_interlaced else _UNKNOWN_FILTER.search(whole[first :: wanted.row_bytes])
        if wrong:
            yield whole[: first + wrong.start() * wanted.row_bytes]
            return
        yield whole
        total += len(whole)
        if total >= wanted.total_bytes:
            return


def _unpacked(data: Sequence[Chunk]) -> Iterator[bytes]:
    unpacking = zlib.decompressobj()
    for packed in (
        chunk.pixels[at : at + _INPUT_BYTES] for chunk in data for at in range(0, chunk.length, _INPUT_BYTES)
    ):
        before = unpacking.copy()
        try:
            yield from list(_drained(unpacking, packed))
        except zlib.error:
            yield from _before_fault(before, packed)
            return


def _pieces(data: Sequence[Chunk]) -> Iterator[memoryview]:
    for chunk in data:
        for at in range(0, chunk.length, _INPUT_BYTES):
            yield chunk.pixels[at : at + _INPUT_BYTES]


def _before_fault(unpacking: "zlib._Decompress", packed: memoryview) -> Iterator[bytes]:
    for at in range(len(packed)):
        try:
            yield from list(_drained(unpacking, packed[at : at + 1]))
        except zlib.error:
            return


def _drained(unpacking: "zlib._Decompress", packed: memoryview) -> Iterator[bytes]:
    rest: bytes | memoryview = packed
    while len(rest) and not unpacking.eof:
        yield unpacking.decompress(rest, _OUTPUT_BYTES)
        rest = unpacking.unconsumed_tail
