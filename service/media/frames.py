"""The frames of a picture that are judged: each made upright, reduced, and converted to sRGB."""

from collections.abc import Iterator

from PIL import Image
from PIL.ExifTags import Base
from PIL.ImageFile import ImageFile

from service.media.colours import to_srgb, widen
from service.media.sizes import Size, spread, target_size

Transpose = Image.Transpose

# By EXIF's number: what makes the stored picture upright. 5 to 8 swap width and height.
UPRIGHT: dict[int, Transpose] = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
FIRST_TO_SWAP_SIDES = 5

# JPEG's decoder leaves out detail at almost no cost, down to half, a quarter or an eighth; it stops at one and a
# quarter times the target, so that the bicubic filter has the last word. Against a full decode, photographs come out
# at 42 dB at worst, less of a change than their compression was. Stopping at twice would give 52 dB, for up to twice
# the work.
DRAFT_GAP = 1.25

# Other formats: a box filter does the coarse part of a large reduction.
REDUCING_GAP = 2.0

# What Pillow resizes as it is; all else is widened or weighted by its opacity before, which takes copies.
NEEDS_NO_COPY = frozenset({"L", "RGB", "CMYK"})
PREMULTIPLIED = {"LA": "La", "RGBA": "RGBa"}
STRAIGHT = {"La": "LA", "RGBa": "RGBA"}

# 16 MiB of the widest mode.
BAND_PIXELS = 4 * 1024 * 1024


def looked_at(image: ImageFile, max_frames: int) -> list[int]:
    """Return the numbers of the frames to judge, evenly spaced from the first to the last."""
    return spread(frames_total(image), max_frames)


def frames_total(image: ImageFile) -> int:
    """Return the number of frames in the file's header."""
    return int(getattr(image, "n_frames", 1))


def orientation(image: ImageFile) -> int:
    """Return EXIF's orientation, 1 (upright) if there is none or it makes no sense."""
    if image.format == "PNG":
        # EXIF may follow the pixels there, and must not be what reports that they are broken.
        image.load()
    try:
        value = image.getexif().get(Base.Orientation, 1)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - EXIF is free-form and Pillow raises whatever its parsing meets; the pixels stand
        return 1
    return value if value in UPRIGHT else 1


def upright_size(size: Size, turn: int) -> Size:
    """Return width and height after turning."""
    return size[::-1] if turn >= FIRST_TO_SWAP_SIDES else size


def read_frames(
    image: ImageFile, numbers: list[int], *, turn: int, max_pixels: int, multiple_of: int
) -> Iterator[tuple[Image.Image, bool]]:
    """Yield each frame as RGB and whether its colour profile, if it has one, could be used."""
    for number in numbers:
        if number:
            image.seek(number)
        reduced = _reduce(image, turn=turn, max_pixels=max_pixels, multiple_of=multiple_of)
        rgb, is_managed = to_srgb(reduced, image.info.get("icc_profile"))
        yield (rgb.transpose(UPRIGHT[turn]) if turn in UPRIGHT else rgb), is_managed


def _reduce(image: ImageFile, *, turn: int, max_pixels: int, multiple_of: int) -> Image.Image:
    """Decode a frame no larger than needed and resize it, still lying as it was stored."""
    upright = upright_size(image.size, turn)
    target = upright_size(target_size(upright, max_pixels=max_pixels, multiple_of=multiple_of), turn)
    drafted = image.draft(None, (round(target[0] * DRAFT_GAP), round(target[1] * DRAFT_GAP)))
    image.load()
    needs_copies = image.mode not in NEEDS_NO_COPY or image.has_transparency_data
    if needs_copies and not drafted and _box_factors(image.size, target) != (1, 1):
        return _resize_in_bands(image, target)
    box = drafted[1] if drafted else None
    return widen(image).resize(target, Image.Resampling.BICUBIC, box=box, reducing_gap=REDUCING_GAP)


def _resize_in_bands(image: Image.Image, target: Size) -> Image.Image:
    """Return what `widen` and Pillow's `resize` do at once, without their copies of the whole image.

    The box filter's part is done on one band after the other, each a multiple of its factor.
    """
    (width, height), factors = image.size, _box_factors(image.size, target)
    rows = max(1, BAND_PIXELS // (width * factors[1])) * factors[1]
    bands = [
        _premultiplied(widen(image.crop((0, top, width, min(top + rows, height))))).reduce(factors)
        for top in range(0, height, rows)
    ]
    reduced = Image.new(bands[0].mode, (bands[0].width, sum(band.height for band in bands)))
    for number, band in enumerate(bands):
        reduced.paste(band, (0, number * bands[0].height))
    resized = reduced.resize(target, Image.Resampling.BICUBIC, box=(0, 0, width / factors[0], height / factors[1]))
    return resized.convert(STRAIGHT.get(resized.mode, resized.mode))


def _box_factors(size: Size, target: Size) -> tuple[int, int]:
    """Return how many pixels across and down the box filter makes one, so that the last word is the bicubic one's."""
    across, down = (int(side / wanted / REDUCING_GAP) or 1 for side, wanted in zip(size, target, strict=True))
    return across, down


def _premultiplied(image: Image.Image) -> Image.Image:
    """Return the image with its colours weighted by their opacity, as averaging needs them."""
    return image.convert(PREMULTIPLIED.get(image.mode, image.mode))
