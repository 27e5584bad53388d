"""What some decoders need beside the pixels that come out, by their formats: known from the header, refused before.

For want of memory libjpeg and libwebp only say that a file is broken, which would blame a sound one.
"""

from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from service.media.errors import TooManyPixelsError
from service.media.formats import MediaType
from service.media.sizes import Size

# Two canvases of libwebp, the copy that it hands over, and Pillow's own, each with four bytes a pixel.
WEBP_BYTES_A_PIXEL = 16
# Planes of the smallest kind, an RGB copy and Pillow's own; measured. More bits and an alpha channel take up to 17.
AVIF_BYTES_A_PIXEL = 9
# Of a coefficient; libjpeg keeps those of all scans.
COEFFICIENT_BYTES = 2

# The file itself, and what is small.
SHARE_FOR_PIXELS = 15 / 16


def check_memory(size: Size, *, bytes_a_pixel: float, memory_bytes: int) -> None:
    """Raise TooManyPixelsError if a picture needs more memory than a decoder has."""
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
