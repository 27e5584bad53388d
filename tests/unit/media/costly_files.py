"""Files that are cheap to make and dear to decode, by the number of their parts."""

import struct
import zlib
from collections.abc import Sequence

from PIL import Image, ImageCms

from tests.unit.media.image_files import encoded, plain, png_chunk, png_of_pixels

SQUARE = plain(size=(64, 64))
GIF_HEAD = b"GIF89a" + struct.pack("<HH", 1, 1) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff"
GIF_FRAME = b"," + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0\x02\x02\x4c\x01\0"


def jpeg_of_scans(count: int, size: tuple[int, int] = (64, 64)) -> bytes:
    """Return a progressive JPEG whose last scan is repeated."""
    data = encoded(plain(size=size), "JPEG", progressive=True)
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[last:end] * (count - data.count(b"\xff\xda")) + data[end:]


def jpeg_of_segments(count: int, *, kind: bytes = b"\xff\xfe", body: bytes = b"") -> bytes:
    data = encoded(SQUARE, "JPEG")
    return data[:2] + (kind + struct.pack(">H", 2 + len(body)) + body) * count + data[2:]


def jpeg_with_junk(count: int) -> bytes:
    data = encoded(SQUARE, "JPEG")
    return data[:2] + b"\xff" * count + data[2:]


def png_of_chunks(count: int, kind: bytes = b"abCd", body: bytes = b"") -> bytes:
    data = encoded(SQUARE, "PNG")
    return data[:33] + png_chunk(kind, body) * count + data[33:]


def png_of_equal_rows(
    size: tuple[int, int], row: bytes, *, bits: int, colour_type: int, extra: Sequence[tuple[bytes, bytes]] = ()
) -> bytes:
    """Return a PNG whose unfiltered rows are equal, of which one is compressed."""
    deflate = zlib.compressobj(wbits=-15)
    line = b"\0" + row
    compressed = deflate.compress(line) + deflate.flush(zlib.Z_FULL_FLUSH)
    check = 1
    for _ in range(size[1]):
        check = zlib.adler32(line, check)
    pixels = b"\x78\x01" + compressed * size[1] + b"\x03\0" + struct.pack(">I", check)
    return png_of_pixels(size, pixels, bits, colour_type, extra)


def png_of_profiles(count: int) -> bytes:
    return png_of_chunks(count, b"iCCP", b"p\0\0" + zlib.compress(bytes(1_000_000), 9))


def gif_of_frames(count: int) -> bytes:
    return GIF_HEAD + GIF_FRAME * count + b";"


def gif_of_comments(count: int) -> bytes:
    return GIF_HEAD + b"!\xfe\x01c\0" * count + GIF_FRAME + b";"


def webp_of_frames(count: int) -> bytes:
    still = encoded(Image.new("RGBA", (1, 1)), "WEBP", lossless=True)
    body = bytes(6) + bytes(6) + (10).to_bytes(3, "little") + b"\0" + still[still.index(b"VP8L") :]
    frame = b"ANMF" + struct.pack("<I", len(body)) + body
    head = b"WEBPVP8X" + struct.pack("<I", 10) + bytes([0x12]) + bytes(9) + b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    return b"RIFF" + struct.pack("<I", len(head) + len(frame) * count) + head + frame * count


def profile_of_steps(count: int) -> bytes:
    """Return an sRGB profile with a chain of matrices that change nothing."""
    plain_profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    (tags,) = struct.unpack(">I", plain_profile[128:132])
    entries = [struct.unpack(">4sII", plain_profile[132 + 12 * place :][:12]) for place in range(tags)]
    bodies = {name: plain_profile[start : start + length] for name, start, length in entries}
    step = b"matf\0\0\0\0" + struct.pack(">HH12f", 3, 3, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0)
    first = 16 + 8 * count
    positions = b"".join(struct.pack(">II", first + len(step) * place, len(step)) for place in range(count))
    bodies[b"D2B0"] = b"mpet\0\0\0\0" + struct.pack(">HHI", 3, 3, count) + positions + step * count
    table, data, start = b"", b"", 132 + 12 * len(bodies)
    for name, body in bodies.items():
        table += struct.pack(">4sII", name, start + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    whole = plain_profile[4:128] + struct.pack(">I", len(bodies)) + table + data
    return struct.pack(">I", 4 + len(whole)) + whole
