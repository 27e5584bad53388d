"""Pure: compressed record data → the records' bytes, never more than a limit of them in memory.

aiokafka unpacks a batch whole before it looks at its size: 48 KB of zstd can be 1.5 GB.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import TypeAlias

import cramjam

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
"""The protocol's numbers of the codecs."""

_GUESSED_RATIO = 8
"""Most batches unpack to less than so many times their size; one that does not is tried again with so many more."""

_MIN_ROOM_BYTES = 64 * 1024
"""A small batch is not worth two tries."""

_GZIP_MEMBER = 31
"""zlib's window bits for the largest window in gzip's format."""

_GZIP_MAGIC = b"\x1f\x8b"

_MAX_GZIP_MEMBERS = 64
"""Producers write one. Each costs a copy of all behind it, so that 50,000 empty ones would take seconds."""

_GZIP_PIECE_BYTES = 1024 * 1024
"""Unpacked at a time: whole, it would be in memory three times over."""

_XERIAL_HEADER = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16
_XERIAL_BLOCK = struct.Struct(">I")

Unpacker: TypeAlias = Callable[[memoryview, int, int], bytearray]


class UnpackError(Exception):
    """The data cannot be unpacked: an unknown codec, a broken stream, or one that was cut off."""


class UnpackLimitError(Exception):
    """The data unpacks to more than the limit."""


def unpack(codec: int, data: memoryview, *, limit_bytes: int, head_bytes: int) -> bytearray:
    """Return `head_bytes` zeros and behind them what the data unpacks to, at most `limit_bytes`.

    Raises `UnpackError` or `UnpackLimitError`. The head saves the caller a copy.
    """
    try:
        unpacker = _UNPACKERS[codec]
    except KeyError:
        raise UnpackError(f"unknown compression codec {codec}") from None
    try:
        return unpacker(data, limit_bytes, head_bytes)
    except (cramjam.DecompressionError, zlib.error, struct.error, ValueError, OverflowError) as error:
        raise UnpackError(f"broken {_NAMES[codec]} data: {error}") from None


def _gzip(data: memoryview, limit_bytes: int, head_bytes: int) -> bytearray:
    """Unpack one gzip member after another; what follows the last one is ignored, as Kafka's own clients do."""
    unpacked = bytearray(head_bytes)
    rest: bytes | memoryview = data
    for _ in range(_MAX_GZIP_MEMBERS):
        rest = _gzip_member(rest, unpacked, limit_bytes + head_bytes)
        if not rest.startswith(_GZIP_MAGIC):
            return unpacked
    raise UnpackError(f"broken gzip data: more than {_MAX_GZIP_MEMBERS} members")


def _gzip_member(data: bytes | memoryview, unpacked: bytearray, limit_bytes: int) -> bytes:
    """Append what one member holds, piece by piece; return what follows it."""
    member = zlib.decompressobj(_GZIP_MEMBER)
    while not member.eof:
        piece = member.decompress(data, _GZIP_PIECE_BYTES)
        if not piece and not member.eof:
            raise UnpackError("broken gzip data: cut off")
        unpacked += piece
        if len(unpacked) > limit_bytes:
            raise UnpackLimitError
        data = member.unconsumed_tail
    return member.unused_data


def _snappy(data: memoryview, limit_bytes: int, head_bytes: int) -> bytearray:
    """Unpack the plain format, or the blocks that the xerial library frames; each has its length in front."""
    unpacked = bytearray(head_bytes)
    for block in _snappy_blocks(data):
        size_bytes = cramjam.snappy.decompress_raw_len(block)
        if len(unpacked) + size_bytes > limit_bytes + head_bytes:
            raise UnpackLimitError
        unpacked += cramjam.snappy.decompress_raw(block)
    return unpacked


def _snappy_blocks(data: memoryview) -> Iterator[bytes]:
    if len(data) < _XERIAL_HEADER_BYTES or data[: len(_XERIAL_HEADER)] != _XERIAL_HEADER:
        yield bytes(data)
        return
    position = _XERIAL_HEADER_BYTES
    while position < len(data):
        (size_bytes,) = _XERIAL_BLOCK.unpack_from(data, position)
        position += _XERIAL_BLOCK.size
        block = data[position : position + size_bytes]
        if len(block) < size_bytes:
            raise UnpackError("broken snappy data: cut off")
        yield bytes(block)
        position += size_bytes


def _into_room(decompress_into: Callable[[memoryview, memoryview], int]) -> Unpacker:
    """Return an unpacker that writes into a buffer of fixed size: more than that cannot come to be."""

    def unpacker(data: memoryview, limit_bytes: int, head_bytes: int) -> bytearray:
        room = min(max(len(data) * _GUESSED_RATIO, _MIN_ROOM_BYTES), limit_bytes)
        while True:
            unpacked = bytearray(head_bytes + room)
            try:
                with memoryview(unpacked)[head_bytes:] as buffer:
                    size_bytes = decompress_into(data, buffer)
            except cramjam.DecompressionError as error:
                if not _is_full(error):
                    raise
                if room == limit_bytes:
                    raise UnpackLimitError from None
                room = min(room * _GUESSED_RATIO, limit_bytes)
            else:
                del unpacked[head_bytes + size_bytes :]
                return unpacked

    return unpacker


def _is_full(error: cramjam.DecompressionError) -> bool:
    """Return whether a buffer was too small; Rust's words for it are all there is."""
    return "failed to write whole buffer" in str(error)


_NAMES = {GZIP: "gzip", SNAPPY: "snappy", LZ4: "lz4", ZSTD: "zstd"}
_UNPACKERS: dict[int, Unpacker] = {
    GZIP: _gzip,
    SNAPPY: _snappy,
    LZ4: _into_room(cramjam.lz4.decompress_into),
    ZSTD: _into_room(cramjam.zstd.decompress_into),
}
