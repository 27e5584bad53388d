"""PNG files chunk by chunk, with the faults and oddities that encoders do not write."""

import struct
import zlib

from tests.unit.media.image_files import BLUE, GREEN, RED, Rgb, png_chunk

Part = tuple[bytes, bytes] | bytes
"""A chunk's name and body, or a chunk as it is written."""

SIZE = (4, 4)
END = (b"IEND", b"")


def png_of(*parts: Part) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(part if isinstance(part, bytes) else png_chunk(*part) for part in parts)


def header(size: tuple[int, int] = SIZE, *, bits: int = 8, colour_type: int = 2, interlaced: bool = False) -> Part:
    return b"IHDR", struct.pack(">IIBBBBB", *size, bits, colour_type, 0, 0, interlaced)


def flat(colour: Rgb, size: tuple[int, int] = SIZE) -> bytes:
    return zlib.compress((b"\0" + bytes(colour) * size[0]) * size[1])


def pixels(colour: Rgb = RED, size: tuple[int, int] = SIZE) -> Part:
    return b"IDAT", flat(colour, size)


def actl(frames: int, plays: int = 0) -> Part:
    return b"acTL", struct.pack(">II", frames, plays)


def fctl(
    number: int, size: tuple[int, int] = SIZE, place: tuple[int, int] = (0, 0), delay: tuple[int, int] = (1, 10)
) -> Part:
    return b"fcTL", struct.pack(">IIIIIHHBB", number, *size, *place, *delay, 0, 0)


def fdat(number: int, colour: Rgb, size: tuple[int, int] = SIZE) -> Part:
    return b"fdAT", struct.pack(">I", number) + flat(colour, size)


def wrong_checksum(part: Part) -> bytes:
    assert not isinstance(part, bytes)
    return png_chunk(*part)[:-4] + b"\0\0\0\0"


def gama(value: int) -> Part:
    return b"gAMA", struct.pack(">I", value)


def cicp(primaries: int, transfer: int, matrix: int = 0, full_range: int = 1) -> Part:
    return b"cICP", bytes((primaries, transfer, matrix, full_range))


def iccp(profile: bytes) -> Part:
    return b"iCCP", b"profile\0\0" + zlib.compress(profile)


SECOND = (fctl(1), fdat(2, BLUE))
"""A second frame, in blue."""

THIRD = (fctl(3), fdat(4, GREEN))
"""A third frame, in green."""
