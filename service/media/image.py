"""An encoded file to checked, upright, reduced sRGB frames: plain and synchronous, for a process that may die of it.

Imports neither numpy nor the settings, so that a decoder process starts in a fraction of a second.
"""

import hashlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from service.core.errors import RejectedError
from service.media.errors import ImageCorruptError, TooManyPixelsError
from service.media.formats import MediaType, open_header, sniff, webp_canvas
from service.media.frames import frames_total, looked_at, orientation, read_frames, upright_size
from service.media.sizes import Size, check_size
from service.media.structure import check_frames, check_run_lengths, check_structure

# Two canvases of libwebp, the copy that it hands over, and Pillow's own, each with four bytes a pixel.
WEBP_BYTES_A_PIXEL = 16
# Planes of the smallest kind, an RGB copy and Pillow's own; measured. More bits and an alpha channel take up to 17.
AVIF_BYTES_A_PIXEL = 9
# Of a coefficient; libjpeg keeps those of all scans.
COEFFICIENT_BYTES = 2

# The file itself, and what is small.
SHARE_FOR_PIXELS = 15 / 16


def check_memory(size: Size, *, bytes_a_pixel: float, memory_bytes: int) -> None:
    """Raise TooManyPixelsError if a picture needs more memory than a decoder has, as its header shows.

    Without enough memory libjpeg and libwebp report a broken file, and a sound file would be blamed.
    """
    width, height = size
    if bytes_a_pixel * width * height > SHARE_FOR_PIXELS * memory_bytes:
        limit = int(SHARE_FOR_PIXELS * memory_bytes / bytes_a_pixel)
        raise TooManyPixelsError(width=width, height=height, frames=1, limit_pixels=limit)


def bytes_a_pixel(image: ImageFile, media_type: MediaType) -> float:
    """Return what an opened file's decoder needs for each pixel beside the result."""
    if media_type == "image/avif":
        return AVIF_BYTES_A_PIXEL
    if isinstance(image, JpegImageFile) and image.info.get("progressive"):
        areas = [across * down for _, across, down, _ in image.layer]
        widest = max(across for _, across, _, _ in image.layer) * max(down for _, _, down, _ in image.layer)
        return COEFFICIENT_BYTES * sum(areas) / max(1, widest)
    return 0.0


# Frames between the judged ones must be composed too: so many times the pixel limit takes one core 4 s at most.
COMPOSED_PER_LOOKED_AT: dict[MediaType, int] = {
    "image/gif": 7,
    "image/png": 3,
    "image/webp": 8,
    # Flat pictures would allow more, but its dearest ones have not been built.
    "image/avif": 4,
    "image/jpeg": 1,
    "image/bmp": 1,
}

# BMP's numbers for 8 and 4 bits a pixel.
BMP_RUN_LENGTHS = (1, 2)

# How libavif's error ends, which Pillow passes on as any other.
OUT_OF_MEMORY = "Out of memory"

# Enough for Pillow's sentence; some quote the file.
MAX_DETAIL_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """The limits of decoding a file, and the size of the result."""

    max_pixels: int
    """Width × height × frames looked at."""
    max_frames: int
    target_pixels: int
    """Pixels of each frame that is passed on."""
    multiple_of: int
    memory_bytes: int = sys.maxsize
    """That the process may take."""


@dataclass(frozen=True, slots=True)
class PlainImage:
    """A decoded file in types that cross a process border cheaply."""

    sha256: str
    width: int
    height: int
    media_type: MediaType
    frames_total: int
    frame_sizes: tuple[Size, ...]
    profile_ignored: bool
    """It had a colour profile that could not be used."""
    pixels: tuple[bytes, ...]
    """Each frame as rows of RGB."""


def decode_image(data: bytes, limits: DecodeLimits) -> PlainImage:
    """Decode a file; raises RejectedError if it is at fault and MemoryError if there is not enough for it."""
    media_type = sniff(data)
    with _pillow_within(limits):
        if media_type == "image/webp":
            canvas = webp_canvas(data)
            check_size(canvas, max_pixels=limits.max_pixels)
            check_memory(canvas, bytes_a_pixel=WEBP_BYTES_A_PIXEL, memory_bytes=limits.memory_bytes)
        check_structure(data, media_type)
        image = open_header(data, media_type)
        return _decode_opened(image, data, media_type, limits)


def _decode_opened(image: ImageFile, data: bytes, media_type: MediaType, limits: DecodeLimits) -> PlainImage:
    size, total, numbers = image.size, frames_total(image), looked_at(image, limits.max_frames)
    check_frames(total)
    check_size(
        size,
        frames_total=total,
        frames_looked_at=len(numbers),
        max_pixels=limits.max_pixels,
        max_composed=COMPOSED_PER_LOOKED_AT[media_type] * limits.max_pixels,
    )
    if media_type == "image/bmp" and image.info["compression"] in BMP_RUN_LENGTHS:
        check_run_lengths(size)
    check_memory(size, bytes_a_pixel=bytes_a_pixel(image, media_type), memory_bytes=limits.memory_bytes)
    turn = orientation(image)
    wanted = read_frames(image, numbers, turn=turn, max_pixels=limits.target_pixels, multiple_of=limits.multiple_of)
    frames, managed = zip(*wanted, strict=True)
    width, height = upright_size(size, turn)
    return PlainImage(
        sha256=hashlib.sha256(data).hexdigest(),
        width=width,
        height=height,
        media_type=media_type,
        frames_total=total,
        frame_sizes=tuple(frame.size for frame in frames),
        profile_ignored=not all(managed),
        pixels=tuple(frame.tobytes() for frame in frames),
    )


@contextmanager
def _pillow_within(limits: DecodeLimits) -> Iterator[None]:
    """Hold Pillow to our limit, whatever warnings filter is set, and turn its many errors into one.

    Pillow raises at twice its limit and only warns at once it; frames that reach beyond their canvas meet it.
    """
    pillow_limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = (limits.max_pixels + 1) // 2
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (RejectedError, MemoryError):
        raise
    except Exception as error:
        if OUT_OF_MEMORY in str(error):
            raise MemoryError from error
        # Plugins let through whatever their parsing meets: struct.error, IndexError, SyntaxError, zlib.error, …
        detail = f"{type(error).__name__}: {error}"[:MAX_DETAIL_CHARACTERS]
        raise ImageCorruptError(detail=detail) from error
    finally:
        Image.MAX_IMAGE_PIXELS = pillow_limit
