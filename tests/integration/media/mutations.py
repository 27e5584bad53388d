"""Image files of every allowed format, and ways to break them that know where a format's parts begin."""

import random
import re
import struct
from collections.abc import Callable

from PIL import Image

from tests.unit.media.heif_files import stored
from tests.unit.media.image_files import (
    BLUE,
    GREEN,
    RED,
    animation,
    bmp_rle8,
    encoded,
    gradient,
    plain,
    png,
    samples_16,
    swapped_profile,
)


def originals() -> dict[str, bytes]:
    """Return small sound files, by names that begin with their format."""
    picture, clear = gradient((32, 24)), Image.new("RGBA", (24, 16), (200, 10, 30, 120))
    exif = Image.Exif()
    exif[0x0112] = 6
    few = picture.quantize(8)
    return {
        "jpeg": encoded(picture, "JPEG", exif=exif, icc_profile=swapped_profile()),
        "jpeg-progressive": encoded(picture, "JPEG", progressive=True, restart_marker_blocks=2),
        "jpeg-cmyk": encoded(picture.convert("CMYK"), "JPEG"),
        "png": encoded(picture, "PNG", icc_profile=swapped_profile(), exif=exif),
        "png-palette": encoded(few, "PNG", transparency=bytes([0, 100, 200])),
        "png-16": png((4, 2), bits=16, colour_type=6, rows=[samples_16(*range(0, 64_000, 4_000))] * 2),
        "png-animated": animation("PNG", [RED, GREEN, BLUE]),
        "gif": encoded(few, "GIF", transparency=1, interlace=True),
        "gif-animated": animation("GIF", [RED, GREEN, BLUE, RED, BLUE], disposal=2),
        "webp": encoded(picture, "WEBP", exif=exif, icc_profile=swapped_profile()),
        "webp-lossless": encoded(clear, "WEBP", lossless=True),
        "webp-animated": animation("WEBP", [RED, GREEN, BLUE]),
        "avif": encoded(picture, "AVIF", exif=exif, icc_profile=swapped_profile()),
        "heic": stored("plain"),
        "heic-clear": stored("alpha"),
        "avif-clear": encoded(clear, "AVIF"),
        "avif-animated": animation("AVIF", [RED, GREEN, BLUE]),
        "bmp": encoded(plain(), "BMP"),
        "bmp-palette": encoded(few, "BMP"),
        "bmp-rle": bmp_rle8(
            (8, 4), (b"\x04\x00\x00\x02\x02\x00\x02\x01\x00\x00" + b"\x08\x01\x00\x00" * 3 + b"\x00\x01")
        ),
    }


# Where a part of a file begins, its length, its name or its body.
PARTS = {
    "jpeg": re.compile(rb"\xff[\xc0-\xfe]"),
    "png": re.compile(rb"IHDR|PLTE|tRNS|iCCP|eXIf|acTL|fcTL|fdAT|IDAT|IEND"),
    "gif": re.compile(rb"[!,;]"),
    "webp": re.compile(rb"RIFF|WEBP|VP8[ LX]|ALPH|ANIM|ANMF|ICCP|EXIF"),
    "avif": re.compile(
        rb"ftyp|meta|hdlr|pitm|iloc|iinf|infe|iprp|ipco|ispe|pixi|av1C|colr|auxC|ipma|irot|moov|trak|stsz|stco|stts|mdat"
    ),
    "heic": re.compile(rb"ftyp|meta|hdlr|pitm|iloc|iinf|infe|iref|iprp|ipco|ispe|hvcC|colr|auxC|ipma|mdat"),
    "bmp": re.compile(rb"\A(?=BM)"),
}
BMP_FIELDS = (2, 10, 14, 18, 22, 26, 28, 30, 34, 46, 50, 54)

LENGTHS_TO_LIE_WITH = (0, 1, 2, 7, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)


def boundaries(name: str, data: bytes) -> list[int]:
    """Return the places where a part of the file begins or ends."""
    file_format = name.partition("-")[0]
    if file_format == "bmp":
        return [place for place in BMP_FIELDS if place < len(data)]
    starts = [match.start() for match in PARTS[file_format].finditer(data)]
    places = {place + step for place in starts for step in (-4, 0, 2, 4, 8)}
    return sorted(place for place in places if 0 < place < len(data))


def cuts(name: str, data: bytes) -> list[bytes]:
    """Return the file cut at, just before and just after every boundary."""
    return [data[: max(0, place + step)] for place in boundaries(name, data) for step in (-1, 0, 1)]


def mutate(name: str, data: bytes, rng: random.Random) -> bytes:
    """Return the file broken in one to three ways."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(WAYS)(name, data, rng)
    return data


def _flip(name: str, data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwrite(name: str, data: bytes, rng: random.Random) -> bytes:
    place, count = rng.randrange(len(data) + 1), rng.randint(1, 32)
    filling = rng.choice((b"\0" * count, b"\xff" * count, rng.randbytes(count)))
    return data[:place] + filling + data[place + count :]


def _lie(name: str, data: bytes, rng: random.Random) -> bytes:
    """Write a wrong number where a length or a size may stand."""
    place = rng.choice(boundaries(name, data) or [0])
    number = rng.choice(LENGTHS_TO_LIE_WITH)
    kind = rng.choice((">I", "<I", ">H", "<H"))
    written = struct.pack(kind, number & (0xFFFF if kind[1] == "H" else 0xFFFF_FFFF))
    return data[:place] + written + data[place + len(written) :]


def _cut(name: str, data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _repeat_or_drop(name: str, data: bytes, rng: random.Random) -> bytes:
    start, end = sorted(rng.choices([0, *boundaries(name, data), len(data)], k=2))
    return data[:start] + data[start:end] * rng.choice((0, 2, 3)) + data[end:]


WAYS: tuple[Callable[[str, bytes, random.Random], bytes], ...] = (_flip, _flip, _overwrite, _lie, _cut, _repeat_or_drop)
