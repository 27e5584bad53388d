"""The allow-list of formats, recognised by content, each with the one Pillow plugin that may open it.

Plugins are called directly, never through `Image.open`: no other plugin is ever loaded, least of all one that starts
a program (EPS). TIFF is left out: a file may hold any of a dozen codecs in strips and tiles with sizes of their own,
and its directories may point anywhere, so its cost cannot be derived from its header.
"""

import re
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import pi_heif
from PIL import AvifImagePlugin, BmpImagePlugin, PngImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile

from service.media.apng_file import OpenApngFile
from service.media.errors import ImageCorruptError, UnsupportedFormatError
from service.media.gif_file import OpenGifFile
from service.media.jpeg_file import OpenJpegFile

MediaType = Literal["image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "image/heic", "image/bmp"]

# A Multi-Picture JPEG opens as its first picture: the others are previews or gain maps of the same one.
PLUGINS: dict[MediaType, type[ImageFile]] = {
    "image/jpeg": OpenJpegFile,
    "image/png": PngImagePlugin.PngImageFile,
    "image/webp": WebPImagePlugin.WebPImageFile,
    "image/gif": OpenGifFile,
    "image/avif": AvifImagePlugin.AvifImageFile,
    "image/heic": pi_heif.HeifImageFile,
    "image/bmp": BmpImagePlugin.BmpImageFile,
}


@dataclass(frozen=True, slots=True)
class _Signature:
    """How a format's files begin."""

    media_type: MediaType
    pattern: re.Pattern[bytes]


# BMP's own mark is two letters, so the length of its second header, one of seven, is part of the signature.
SIGNATURES = (
    _Signature("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    _Signature("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    _Signature("image/webp", re.compile(rb"RIFF.{4}WEBPVP8[ LX]", re.DOTALL)),
    _Signature("image/gif", re.compile(rb"GIF8[79]a")),
    _Signature("image/bmp", re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL)),
)

# The tiles of a grid are decoded one after the other: the pool has a process a core. Thumbnails, depth and gain maps of
# a HEIC are no pictures of their own.
pi_heif.options.DECODE_THREADS = 0
pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False

# What uploaders send by mistake, so that the dead letter can name it.
KNOWN_BUT_NOT_ALLOWED = (
    ("TIFF", re.compile(rb"II[*+]\0|MM\0[*+]")),
    ("JPEG XL", re.compile(rb"\xff\x0a|\0\0\0\x0cJXL ")),
    ("JPEG 2000", re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51")),
    ("PSD", re.compile(rb"8BPS")),
    ("icon", re.compile(rb"\0\0[\x01\x02]\0")),
    ("video", re.compile(rb".{4}ftyp|\x1aE\xdf\xa3|RIFF.{4}AVI ", re.DOTALL)),
    ("PDF", re.compile(rb"%PDF")),
    ("PostScript", re.compile(rb"%!PS|\xc5\xd0\xd3\xc6")),
    ("SVG, XML or HTML", re.compile(rb"(\xef\xbb\xbf)?\s*<")),
)

# Signature 8, chunk length and name 8, width and height 8.
PNG_BIT_DEPTH_AT = 24

AVIF_BRANDS = frozenset({b"avif", b"avis"})
# The brands of stills that are coded by HEVC, of sequences that have one, and of any picture.
HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
# A file type box names a handful of brands; longer ones are not searched.
MAX_BRANDS_BYTES = 256


def sniff(data: bytes) -> MediaType:
    """Return the media type that the content shows; raises UnsupportedFormatError for any that is not allowed."""
    for signature in SIGNATURES:
        if signature.pattern.match(data):
            return signature.media_type
    brands = _brands(data)
    if brands & AVIF_BRANDS:
        return "image/avif"
    if brands & HEIC_BRANDS:
        return "image/heic"
    names = (name for name, pattern in KNOWN_BUT_NOT_ALLOWED if pattern.match(data))
    raise UnsupportedFormatError(detail=next(names, "unknown content"))


def open_header(data: bytes, media_type: MediaType) -> ImageFile:
    """Open a file with its format's plugin, reading no further than its headers.

    Pillow's errors pass through: the caller translates them.
    """
    image = PLUGINS[media_type](BytesIO(data), "")
    if media_type == "image/png" and getattr(image, "is_animated", False):
        return OpenApngFile(BytesIO(data), "")
    if media_type == "image/png" and data[PNG_BIT_DEPTH_AT] == 16:  # noqa: PLR2004 - bits a sample
        _reduce_transparent_colour(image)
    return image


def webp_canvas(data: bytes) -> tuple[int, int]:
    """Return the width and height in a WebP header: the plugin allocates the canvas before it reports its size."""
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:  # noqa: PLR2004 - the longest of the three headers read here
        raise ImageCorruptError(detail="the header is cut off")
    if kind == b"VP8X":
        return _little(body[4:7]) + 1, _little(body[7:10]) + 1
    if kind == b"VP8L":
        bits = _little(body[1:5])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return _little(body[6:8]) & 0x3FFF, _little(body[8:10]) & 0x3FFF


def _reduce_transparent_colour(image: ImageFile) -> None:
    """Bring the one colour that a PNG may declare transparent from 16 to 8 bits, as its pixels will be.

    Pillow takes the upper byte of RGB samples and leaves the colour alone; grey is scaled in `colours`.
    """
    colour = image.info.get("transparency")
    if isinstance(colour, tuple):
        image.info["transparency"] = tuple(sample >> 8 for sample in colour)


def _brands(data: bytes) -> set[bytes]:
    """Return the brands of a file type box, the first and the compatible ones; none for other content."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4]), MAX_BRANDS_BYTES)
    return {bytes(data[start : start + 4]) for start in (8, *range(16, end, 4))}


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
