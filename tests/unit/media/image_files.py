"""Small image files made byte by byte or by Pillow, for tests of what reads them."""

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from PIL import Image, ImageCms

Rgb = tuple[int, int, int]

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def plain(colour: Rgb = RED, size: tuple[int, int] = (32, 24)) -> Image.Image:
    return Image.new("RGB", size, colour)


def gradient(size: tuple[int, int] = (48, 32)) -> Image.Image:
    across = Image.linear_gradient("L").rotate(90).resize(size)
    down = Image.linear_gradient("L").resize(size)
    return Image.merge("RGB", (across, down, Image.new("L", size, 90)))


def animation(file_format: str, colours: Sequence[Rgb], size: tuple[int, int] = (32, 24), **options: Any) -> bytes:
    frames = [plain(colour, size) for colour in colours]
    options = {"duration": 100, **options}
    return encoded(frames[0], file_format, save_all=True, append_images=frames[1:], **options)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    size: tuple[int, int],
    *,
    bits: int,
    colour_type: int,
    rows: Sequence[bytes],
    extra: Sequence[tuple[bytes, bytes]] = (),
) -> bytes:
    """Return a PNG of unfiltered rows, with more chunks before the pixels."""
    return png_of_pixels(size, zlib.compress(b"".join(b"\0" + row for row in rows)), bits, colour_type, extra)


def png_of_pixels(
    size: tuple[int, int], pixels: bytes, bits: int, colour_type: int, extra: Sequence[tuple[bytes, bytes]] = ()
) -> bytes:
    """Return a PNG of compressed pixels, with more chunks before them."""
    header = struct.pack(">IIBBBBB", *size, bits, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, body) for kind, body in chunks)


def samples_16(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def bmp_rle8(size: tuple[int, int], codes: bytes) -> bytes:
    """Return a run-length encoded BMP whose palette holds red at 0 and blue at 1."""
    palette = b"\x00\x00\xff\x00" + b"\xff\x00\x00\x00"
    offset = 14 + 40 + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, *size, 1, 8, 1, len(codes), 0, 0, 2, 2)
    return b"BM" + struct.pack("<IHHI", offset + len(codes), 0, 0, offset) + info + palette + codes


def swapped_profile() -> bytes:
    """Return an RGB profile whose red is sRGB's blue and the other way round."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    assert swapped != profile
    return swapped
