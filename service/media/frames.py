"""The frames of a picture that are judged: each made upright, reduced, and converted to sRGB."""

from collections.abc import Iterator
from dataclasses import replace

from PIL import Image
from PIL.ImageFile import ImageFile

from service.core.target_size import target_size
from service.media.colours import colour_mode, converted_early, hidden_below, to_srgb, widen
from service.media.grounds import may_hide
from service.media.picture import Picture
from service.media.prepare.png import lacks_pixels
from service.media.prepare.prepared_file import PreparedFile
from service.media.profiles import Conversion, conversion, distance
from service.media.sixteen_bits import with_transparent_colour
from service.media.sizes import Size
from service.media.view import View

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

# Of 255, on average, by the colours of the profile: how much declared colours must change for the picture without them
# to be judged as well. Profiles of cameras and screens change saturated pictures by 12, those of prints by 40.
VISIBLE = {"RGB": 16.0, "L": 16.0, "CMYK": 64.0}

# 16 MiB of the widest mode.
BAND_PIXELS = 4 * 1024 * 1024


def frames_total(image: ImageFile) -> int:
    """Return the number of frames in the file's header; what a HEIC holds beside its picture is no frame."""
    return 1 if image.format == "HEIF" else int(getattr(image, "n_frames", 1))


def upright_size(size: Size, turn: int) -> Size:
    """Return width and height after turning."""
    return size[::-1] if turn >= FIRST_TO_SWAP_SIDES else size


def read_frames(
    image: ImageFile, views: list[View], prepared: PreparedFile, *, turn: int, max_pixels: int, multiple_of: int
) -> Iterator[Picture]:
    """Yield each frame, and once more without its colour declarations if that looks different."""
    upright = upright_size(image.size, turn)
    target = upright_size(target_size(upright, max_pixels=max_pixels, multiple_of=multiple_of), turn)
    for view in views:
        if view.frame:
            image.seek(view.frame)
        for picture in _pictures(image, view, prepared, target):
            yield picture.transposed(UPRIGHT[turn]) if turn in UPRIGHT else picture


def _pictures(image: ImageFile, view: View, prepared: PreparedFile, target: Size) -> Iterator[Picture]:
    profile = image.info.get("icc_profile") if prepared.profile is None else prepared.profile
    to_target = conversion(profile, colour_mode(image)) if profile else None
    early = to_target if to_target and to_target.is_steep else None
    is_first = view.frame == 0
    if is_first:
        _check_whole(image, prepared)
    reduced = _reduce(image, target, prepared, early=early, is_first=is_first)
    alpha = reduced.getchannel("A") if reduced.mode in PREMULTIPLIED else None
    beneath = _beneath(image, alpha, to_target)
    declared = to_srgb(reduced, None if early else to_target)
    if to_target is None:
        yield Picture(declared, view, not profile, alpha, beneath)
        return
    if early:
        reduced = _reduce(image, target, prepared, early=None, is_first=is_first)
    plain = to_srgb(reduced, None)
    if distance(declared, plain) <= VISIBLE[to_target.mode]:
        yield Picture(declared, view, alpha=alpha, beneath=beneath)
        return
    yield Picture(declared, replace(view, colours="declared"), alpha=alpha, beneath=beneath)
    yield Picture(plain, replace(view, colours="plain"), alpha=alpha)


def _beneath(image: Image.Image, alpha: Image.Image | None, to_target: Conversion | None) -> Image.Image | None:
    """Return the colours of a picture with much that is transparent, as viewers show them that ignore it."""
    if alpha is None or image.mode not in PREMULTIPLIED or not may_hide(alpha):
        return None
    # Other filters weight the colours by their opacity.
    return to_srgb(image.resize(alpha.size, Image.Resampling.NEAREST), to_target)


def _check_whole(image: ImageFile, prepared: PreparedFile) -> None:
    """Raise OSError if a PNG has not all pixels, which its decoder does not report: the last rows are left black."""
    if prepared.rows_shown is not None or image.format != "PNG":
        return
    image.load()
    width, height = image.size
    rows = [image.crop((0, top, width, top + 1)) for top in range(max(0, height - 2), height)]
    if any(row.getbbox() is None for row in rows) and lacks_pixels(prepared.data):
        raise OSError("the file ends before its pixels")


def _with_transparency(image: ImageFile, prepared: PreparedFile, *, is_first: bool) -> Image.Image:
    """Return a decoded frame with what is transparent beyond what the decoder makes so."""
    shown: Image.Image = image
    if prepared.transparent_colour is not None:
        shown = with_transparent_colour(image, prepared.data, prepared.transparent_colour)
    if is_first and prepared.rows_shown not in {None, image.height}:
        shown = hidden_below(widen(shown), prepared.rows_shown or 0)
    return shown


def _reduce(
    image: ImageFile, target: Size, prepared: PreparedFile, *, early: Conversion | None, is_first: bool
) -> Image.Image:
    """Decode a frame no larger than needed and resize it, still lying as it was stored."""
    drafted = None
    if early is None:
        drafted = image.draft(None, (round(target[0] * DRAFT_GAP), round(target[1] * DRAFT_GAP)))
    image.load()
    shown = _with_transparency(image, prepared, is_first=is_first)
    needs_copies = early is not None or shown.mode not in NEEDS_NO_COPY or shown.has_transparency_data
    if needs_copies and not drafted and _box_factors(shown.size, target) != (1, 1):
        return _resize_in_bands(shown, target, early)
    box = drafted[1] if drafted else None
    ready = converted_early(widen(shown), early)
    return ready.resize(target, Image.Resampling.BICUBIC, box=box, reducing_gap=REDUCING_GAP)


def _resize_in_bands(image: Image.Image, target: Size, early: Conversion | None) -> Image.Image:
    """Return what `widen` and Pillow's `resize` do at once, without their copies of the whole image.

    The box filter's part is done on one band after the other, each a multiple of its factor.
    """
    (width, height), factors = image.size, _box_factors(image.size, target)
    rows = max(1, BAND_PIXELS // (width * factors[1])) * factors[1]
    bands = [
        _premultiplied(converted_early(widen(image.crop((0, top, width, min(top + rows, height)))), early)).reduce(
            factors
        )
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
