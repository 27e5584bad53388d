"""The chunks of a PNG file, as far as browsers read them."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# A length and a name before the body, a checksum behind it.
_HEAD_BYTES, _CHECKSUM_BYTES = 8, 4

# The fifth bit of a name's first letter, which makes it a small one.
_ANCILLARY = 0x20


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk, by its place in the file."""

    file: memoryview
    kind: bytes
    at: int
    """Where its length stands."""
    length: int
    """Bytes of the body that are there."""
    is_whole: bool
    """The file does not end within it."""

    @property
    def body(self) -> memoryview:
        """What it holds."""
        return self.file[self.at + _HEAD_BYTES : self.at + _HEAD_BYTES + self.length]

    @property
    def pixels(self) -> memoryview:
        """What an IDAT or fdAT holds of a compressed picture."""
        return self.body[4:] if self.kind == b"fdAT" else self.body

    @property
    def end(self) -> int:
        """Where the next chunk starts."""
        return self.at + _HEAD_BYTES + self.length + _CHECKSUM_BYTES

    @property
    def is_critical(self) -> bool:
        """A decoder that does not know it must give up."""
        return not self.kind[0] & _ANCILLARY

    @property
    def is_sound(self) -> bool:
        """It is whole and its checksum is right."""
        end = self.end
        if not self.is_whole:
            return False
        return zlib.crc32(self.file[self.at + 4 : end - 4]) == int.from_bytes(self.file[end - 4 : end])


def chunks(data: bytes) -> Iterator[Chunk]:
    """Yield all chunks from the first to the end's, or to where the file ends."""
    file, at = memoryview(data), len(SIGNATURE)
    while at + _HEAD_BYTES <= len(data):
        announced, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        length = min(announced, len(data) - at - _HEAD_BYTES)
        is_whole = at + _HEAD_BYTES + announced + _CHECKSUM_BYTES <= len(data)
        yield Chunk(file, kind, at, length, is_whole)
        if kind == b"IEND":
            return
        at += _HEAD_BYTES + announced + _CHECKSUM_BYTES


def written(kind: bytes, body: bytes | memoryview) -> bytes:
    """Return a chunk with its length and its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))
