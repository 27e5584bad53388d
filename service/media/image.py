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

from service.core.ambiguity import Feature
from service.core.errors import RejectedError
from service.media.colours import colour_mode, to_srgb, widen
from service.media.costs import CostLimits, check_costs, check_headers
from service.media.embedded import MAX_PICTURES, EmbeddedPicture, embedded_pictures
from service.media.errors import ImageCorruptError, TooComplexError, TooManyPixelsError
from service.media.formats import MediaType, open_header, sniff
from service.media.frame_choice import frames_to_judge, shown_ms
from service.media.frames import frames_total, read_frames, upright_size
from service.media.jpeg_file import OpenJpegFile
from service.media.likeness import looks_like
from service.media.looks import LookLimits, looks, pixels_to_read
from service.media.orientation import orientation
from service.media.picture import Picture
from service.media.prepare.prepared_file import PreparedFile
from service.media.prepare.preparing import complete, prepare
from service.media.profiles import is_plausible
from service.media.scenes import scenes
from service.media.sizes import Size
from service.media.structure import check_frames
from service.media.view import View

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
    def cost(self) -> CostLimits:
        """The limits of what decoding may take."""
        return CostLimits(self.max_pixels, self.memory_bytes)

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
        check_headers(data, media_type, limits.cost)
        prepared = prepare(data, media_type)
        try:
            return _decode_prepared(prepared, data, media_type, limits)
        except OSError:
            completed = complete(data, media_type)
            if completed is None:
                raise
        return _decode_prepared(completed, data, media_type, limits)


def _decode_prepared(prepared: PreparedFile, data: bytes, media_type: MediaType, limits: DecodeLimits) -> PlainImage:
    image = _opened(prepared.data, media_type, limits)
    size, total = image.size, frames_total(image)
    check_frames(total)
    times_ms = [shown_ms(each) for each in prepared.durations_ms] if len(prepared.durations_ms) == total else []
    frames = min(total, limits.max_frames)
    check_costs(image, media_type, limits.cost, frames=frames, total=total)
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
    read = [*read_frames(image, views, prepared, turn=turn, max_pixels=read_pixels, multiple_of=limits.multiple_of)]
    looked = looks(read, upright, limits.looks, frames=frames)
    pictures = looked.pictures
    ambiguous |= looked.features | _denied_opacity(prepared, read)
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


def _frames_to_judge(image: ImageFile, total: int, times_ms: list[int], limits: DecodeLimits) -> list[int]:
    """Return the numbers of the frames that are judged; where there are too many, all are read once to choose."""
    if total <= limits.max_frames:
        return list(range(total))
    times = times_ms or [1] * total
    numbers = frames_to_judge(limits.max_frames, times, scenes(image, times, limits.max_frames))
    image.seek(0)
    return numbers


def _denied_opacity(prepared: PreparedFile, pictures: Iterable[Picture]) -> set[Feature]:
    is_denied = prepared.denies_opacity and any(picture.is_see_through for picture in pictures)
    return {"opacity"} if is_denied else set()


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
        check_headers(picture.data, media_type, limits.cost)
        image = open_header(picture.data, media_type)
        check_costs(image, media_type, limits.cost)
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
