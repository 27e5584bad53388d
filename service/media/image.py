"""An encoded file to checked, upright, reduced sRGB frames: plain and synchronous, for a process that may die of it.

Imports neither numpy nor the settings, so that a decoder process starts in a fraction of a second.
"""

import hashlib
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from service.core.ambiguity import Feature
from service.core.errors import RejectedError
from service.media.colours import colour_mode, to_srgb, widen
from service.media.embedded import MAX_PICTURES, EmbeddedPicture, embedded_pictures
from service.media.errors import ImageCorruptError, TooComplexError, TooManyPixelsError
from service.media.formats import MediaType, open_header, sniff, webp_canvas
from service.media.frame_choice import frames_to_judge, shown_ms
from service.media.frames import frames_total, read_frames, upright_size
from service.media.jpeg_file import OpenJpegFile
from service.media.likeness import looks_like
from service.media.looks import LookLimits, looks, pixels_to_read
from service.media.orientation import orientation
from service.media.prepare.prepared_file import PreparedFile
from service.media.prepare.preparing import complete, prepare
from service.media.profiles import is_plausible
from service.media.scenes import scenes
from service.media.sizes import Size, check_size
from service.media.structure import check_frames, check_structure
from service.media.view import View

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
    if media_type == "image/heic":
        return HEIC_BYTES_A_PIXEL
    if isinstance(image, JpegImageFile) and image.info.get("progressive"):
        areas = [across * down for _, across, down, _ in image.layer]
        widest = max(across for _, across, _, _ in image.layer) * max(down for _, _, down, _ in image.layer)
        return COEFFICIENT_BYTES * sum(areas) / max(1, widest)
    return 0.0


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

# How libavif's error ends, which Pillow passes on as any other.
OUT_OF_MEMORY = "Out of memory"

# Enough for Pillow's sentence; some quote the file.
MAX_DETAIL_CHARACTERS = 120


# Embedded pictures are compared at no more than this.
PREVIEW = (160, 160)


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
    max_views: int = 12
    """Pictures that are passed on."""
    is_square: bool = False
    """Long pictures are passed on in parts as well."""
    full_jpeg: bool = False
    """JPEGs are decoded to all their pixels."""

    @property
    def looks(self) -> LookLimits:
        """The limits of what is passed on."""
        return LookLimits(self.target_pixels, self.multiple_of, self.max_views, self.is_square)


@dataclass(frozen=True, slots=True)
class PlainImage:
    """A decoded file in types that cross a process border cheaply."""

    sha256: str
    width: int
    height: int
    media_type: MediaType
    frames_total: int
    frame_sizes: tuple[Size, ...]
    views: tuple[View, ...]
    """What each picture of `frame_sizes` shows."""
    ambiguous: tuple[str, ...]
    """Features that viewers may show differently, by their stable names, sorted."""
    profile_ignored: bool
    """It had a colour profile that could not be used."""
    pixels: tuple[bytes, ...]
    """Each picture as rows of RGB."""


def decode_image(data: bytes, limits: DecodeLimits) -> PlainImage:
    """Decode a file; raises RejectedError if it is at fault and MemoryError if there is not enough for it."""
    media_type = sniff(data)
    with _pillow_within(limits):
        _check_parts(data, media_type, limits)
        prepared = prepare(data, media_type)
        try:
            return _decode_prepared(prepared, data, media_type, limits)
        except OSError:
            completed = complete(data, media_type)
            if completed is None:
                raise
        return _decode_prepared(completed, data, media_type, limits)


def _check_parts(data: bytes, media_type: MediaType, limits: DecodeLimits) -> None:
    if media_type == "image/webp":
        canvas = webp_canvas(data)
        check_size(canvas, max_pixels=limits.max_pixels)
        check_memory(canvas, bytes_a_pixel=WEBP_BYTES_A_PIXEL, memory_bytes=limits.memory_bytes)
    check_structure(data, media_type)


def _decode_prepared(prepared: PreparedFile, data: bytes, media_type: MediaType, limits: DecodeLimits) -> PlainImage:
    image = _opened(prepared.data, media_type, limits)
    size, total = image.size, frames_total(image)
    check_frames(total)
    times_ms = [shown_ms(each) for each in prepared.durations_ms] if len(prepared.durations_ms) == total else []
    frames = min(total, limits.max_frames)
    _check_costs(image, media_type, frames, total, limits)
    turn, ambiguous = prepared.orientation, set(prepared.ambiguous)
    if frames < total and not times_ms:
        ambiguous.add("frame_timing")
    numbers = _frames_to_judge(image, total, times_ms, limits)
    if turn is None:
        found = orientation(image)
        turn = found.shown
        if not found.is_clear:
            ambiguous.add("orientation")
    views = [View(number, shown_ms=times_ms[number] if times_ms else None) for number in numbers]
    upright = upright_size(size, turn)
    read_pixels = pixels_to_read(upright, limits.looks, frames=frames)
    read = read_frames(image, views, prepared, turn=turn, max_pixels=read_pixels, multiple_of=limits.multiple_of)
    looked = looks([*read], upright, limits.looks, frames=frames)
    pictures = looked.pictures
    ambiguous |= looked.features
    is_ignored = not all(picture.is_managed for picture in pictures)
    if isinstance(image, OpenJpegFile) and image.is_cut_off:
        ambiguous.add("truncated")
    else:
        last_block_at = image.last_block_at if isinstance(image, OpenJpegFile) else 0
        ambiguous |= _differing(pictures[0].image, embedded_pictures(data, media_type, last_block_at), limits)
    width, height = upright
    return PlainImage(
        sha256=hashlib.sha256(data).hexdigest(),
        width=width,
        height=height,
        media_type=media_type,
        frames_total=total,
        frame_sizes=tuple(picture.image.size for picture in pictures),
        views=tuple(picture.view for picture in pictures),
        ambiguous=tuple(sorted(ambiguous | (_unusable_profile(image, prepared) if is_ignored else set()))),
        profile_ignored=is_ignored,
        pixels=tuple(picture.image.tobytes() for picture in pictures),
    )


def _opened(data: bytes, media_type: MediaType, limits: DecodeLimits) -> ImageFile:
    image = open_header(data, media_type)
    if isinstance(image, OpenJpegFile):
        image.may_be_reduced = not limits.full_jpeg
    return image


def _check_costs(image: ImageFile, media_type: MediaType, frames: int, total: int, limits: DecodeLimits) -> None:
    """Raise a rejection if an opened file takes too much: so many frames are judged, of so many in all."""
    check_size(
        image.size,
        frames_total=total,
        frames_looked_at=frames,
        max_pixels=limits.max_pixels,
        max_composed=int(COMPOSED_PER_LOOKED_AT[media_type] * limits.max_pixels),
    )
    check_memory(image.size, bytes_a_pixel=bytes_a_pixel(image, media_type), memory_bytes=limits.memory_bytes)


def _frames_to_judge(image: ImageFile, total: int, times_ms: list[int], limits: DecodeLimits) -> list[int]:
    """Return the numbers of the frames that are judged; where there are too many, all are read once to choose."""
    if total <= limits.max_frames:
        return list(range(total))
    times = times_ms or [1] * total
    numbers = frames_to_judge(limits.max_frames, times, scenes(image, times, limits.max_frames))
    image.seek(0)
    return numbers


def _unusable_profile(image: ImageFile, prepared: PreparedFile) -> set[str]:
    """Return the feature of colours that viewers may show by a profile; one that none can read makes no greys other."""
    profile = image.info.get("icc_profile") if prepared.profile is None else prepared.profile
    return {"colour_profile"} if colour_mode(image) != "L" or is_plausible(profile or b"") else set()


def _differing(shown: Image.Image, pictures: Iterable[EmbeddedPicture], limits: DecodeLimits) -> set[Feature]:
    """Return the features of the embedded pictures that show something else than the judged one."""
    features = set[Feature]()
    seen = Counter[Feature]()
    for picture in pictures:
        seen[picture.feature] += 1
        if picture.feature not in features and (
            seen[picture.feature] > MAX_PICTURES or not _shows(shown, picture, limits)
        ):
            features.add(picture.feature)
    return features


def _shows(shown: Image.Image, picture: EmbeddedPicture, limits: DecodeLimits) -> bool:
    """Say whether an embedded picture shows the judged one, or nothing."""
    try:
        media_type = sniff(picture.data)
        _check_parts(picture.data, media_type, limits)
        image = open_header(picture.data, media_type)
        check_size(image.size, max_pixels=limits.max_pixels)
        check_memory(image.size, bytes_a_pixel=bytes_a_pixel(image, media_type), memory_bytes=limits.memory_bytes)
        image.draft(None, PREVIEW)
        small = widen(image)
        small.thumbnail(PREVIEW, Image.Resampling.BOX)
    except MemoryError:
        raise
    except (TooManyPixelsError, TooComplexError):
        return False
    except Exception:  # noqa: BLE001 - Pillow raises whatever its parsing meets; no viewer shows what is broken
        return True
    return (picture.may_be_depth and image.mode == "L") or looks_like(shown, to_srgb(small, None))


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
