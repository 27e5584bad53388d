"""What decoding a file may cost, by its headers: pixels, frames and memory."""

from dataclasses import dataclass

from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from service.media.errors import TooManyPixelsError
from service.media.formats import MediaType, webp_canvas
from service.media.sizes import Size, check_size
from service.media.structure import check_structure

# Two canvases of libwebp, the copy that it hands over, and Pillow's own, each with four bytes a pixel.
WEBP_BYTES_A_PIXEL = 16
# Planes of the smallest kind, an RGB copy and Pillow's own; measured. More bits and an alpha channel take up to 17.
AVIF_BYTES_A_PIXEL = 9
# Planes, an RGB copy, its bytes and Pillow's own: measured at 8, and an alpha channel takes more.
HEIC_BYTES_A_PIXEL = 12
# Of a coefficient; libjpeg keeps those of all scans.
COEFFICIENT_BYTES = 2

# The file itself, and what is small.
SHARE_FOR_PIXELS = 15 / 16

# All frames are composed, and those up to the last judged one twice: so many times the pixel limit takes one core 7 s
# at most.
COMPOSED_PER_LOOKED_AT: dict[MediaType, float] = {
    "image/gif": 3,
    "image/png": 1.25,
    "image/webp": 3,
    # Flat pictures would allow more, but its dearest ones have not been built.
    "image/avif": 2,
    "image/heic": 1,
    "image/jpeg": 1,
    "image/bmp": 1,
}


@dataclass(frozen=True, slots=True)
class CostLimits:
    """What a file may take."""

    max_pixels: int
    """Width × height × frames looked at."""
    memory_bytes: int
    """That the process may take."""


def check_headers(data: bytes, media_type: MediaType, limits: CostLimits) -> None:
    """Raise a rejection for what shows before a plugin opens the file, as some allocate a canvas then."""
    if media_type == "image/webp":
        canvas = webp_canvas(data)
        check_size(canvas, max_pixels=limits.max_pixels)
        _check_memory(canvas, bytes_a_pixel=WEBP_BYTES_A_PIXEL, memory_bytes=limits.memory_bytes)
    check_structure(data, media_type)


def check_costs(
    image: ImageFile, media_type: MediaType, limits: CostLimits, *, frames: int = 1, total: int = 1
) -> None:
    """Raise a rejection if an opened file takes too much: so many frames are judged, of so many in all."""
    check_size(
        image.size,
        frames_total=total,
        frames_looked_at=frames,
        max_pixels=limits.max_pixels,
        max_composed=int(COMPOSED_PER_LOOKED_AT[media_type] * limits.max_pixels),
    )
    _check_memory(image.size, bytes_a_pixel=_bytes_a_pixel(image, media_type), memory_bytes=limits.memory_bytes)


def _check_memory(size: Size, *, bytes_a_pixel: float, memory_bytes: int) -> None:
    """Raise TooManyPixelsError if a picture needs more memory than a decoder has, as its header shows.

    Without enough memory libjpeg and libwebp report a broken file, and a sound file would be blamed.
    """
    width, height = size
    if bytes_a_pixel * width * height > SHARE_FOR_PIXELS * memory_bytes:
        limit = int(SHARE_FOR_PIXELS * memory_bytes / bytes_a_pixel)
        raise TooManyPixelsError(width=width, height=height, frames=1, limit_pixels=limit)


def _bytes_a_pixel(image: ImageFile, media_type: MediaType) -> float:
    """Return what an opened file's decoder needs for each pixel beside the result."""
    if media_type == "image/avif":
        return AVIF_BYTES_A_PIXEL
    if media_type == "image/heic":
        return HEIC_BYTES_A_PIXEL
    if isinstance(image, JpegImageFile) and image.info.get("progressive"):
        areas = [across * down for _, across, down, _ in image.layer]
        widest = max(across for _, across, _, _ in image.layer) * max(down for _, _, down, _ in image.layer)
        return COEFFICIENT_BYTES * sum(areas) / max(1, widest)
    return 0.0
