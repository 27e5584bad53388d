"""Applies ICC profiles: which are used, and how far a picture's colours move by them."""

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

from PIL import Image, ImageChops, ImageCms, ImageStat

from service.media.prepare.embedded_profile import UnusableError, embedded_profile

# Printing profiles are the largest honest ones, at 0.5 to 3 MB.
MAX_PROFILE_BYTES = 4 * 1024 * 1024

# A header, and a number of tags.
_LEAST_PROFILE_BYTES = 132

# A profile of the fourth version may be a chain of steps, each of which every colour goes through. Real chains have a
# handful; browsers read none.
MAX_PROFILE_STEPS = 64
PROFILE_STEPS = (b"matf", b"cvst", b"clut")

# Which of an image's modes a profile's colour space speaks about.
PROFILE_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}

# Tables of colours by colours instead of one curve and three points.
_TABLES = (b"A2B0", b"A2B1", b"A2B2", b"D2B0", b"D2B1")
_TAGS_AT, _TAG_BYTES = 128, 12

# The curves that pictures are made with bend a grey by 20 of 255 at most: 1.8 of old Macs, 2.8 of television. Pixels
# beside each other average to something else before a conversion than behind it where a curve is steeper.
STEEP = 32

_SIGNATURE_AT, _SIGNATURE = 36, b"acsp"
_SPACE_AT = 16


@dataclass(frozen=True, slots=True)
class Conversion:
    """From the colours of one profile to sRGB."""

    transform: ImageCms.ImageCmsTransform
    mode: str
    """Of the images that it takes: RGB, L or CMYK."""
    is_steep: bool
    """It must come before pixels are averaged."""

    def apply(self, image: Image.Image) -> Image.Image:
        """Return an image without transparency as RGB in sRGB."""
        source = image if image.mode == self.mode else image.convert(self.mode)
        return self.transform.apply(source)


def is_plausible(profile: bytes) -> bool:
    """Say whether these bytes begin as a profile does."""
    return profile[_SIGNATURE_AT : _SIGNATURE_AT + 4] == _SIGNATURE and int.from_bytes(profile[:4]) <= len(profile)


def is_steep(profile: bytes) -> bool:
    """Say whether a profile spreads a few values of its samples over the whole range."""
    found = conversion(profile, "L" if profile[_SPACE_AT : _SPACE_AT + 4] == b"GRAY" else "RGB")
    return found is not None and found.is_steep


def conversion(profile: bytes, mode: str) -> Conversion | None:
    """Return how an image of a mode without transparency gets to sRGB; None if its profile cannot be used.

    A profile that is broken, too large or about other colours than the image's is ignored, as browsers do.
    """
    if len(profile) < int.from_bytes(profile[:4]):
        return None  # it is cut off; browsers ignore it, and Little CMS reads what there is
    if not _LEAST_PROFILE_BYTES <= len(profile) <= MAX_PROFILE_BYTES:
        return None
    return _conversion(profile, mode)


# A worker meets the same few profiles again and again: those of phones and of its programs.
@lru_cache(maxsize=8)
def _conversion(profile: bytes, mode: str) -> Conversion | None:
    try:
        profile = embedded_profile(profile, mode)
        if sum(map(profile.count, PROFILE_STEPS)) > MAX_PROFILE_STEPS:
            return None
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        taken = PROFILE_MODES.get(source.profile.xcolor_space)
        # A profile of colours says what greys are as well.
        if taken is None or (taken != mode and (taken, mode) != ("RGB", "L")):
            return None
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), taken, "RGB")
        is_steep = taken != "CMYK" and (_has_table(profile) or _bend(transform, taken) > STEEP)
    except (OSError, ValueError, ImageCms.PyCMSError, UnusableError):
        return None
    return Conversion(transform, taken, is_steep)


def distance(one: Image.Image, other: Image.Image) -> float:
    """Return by how much of 255 two RGB pictures of one size differ on average."""
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


def _has_table(profile: bytes) -> bool:
    count = min(int.from_bytes(profile[_TAGS_AT : _TAGS_AT + 4]), 100)
    starts = range(_TAGS_AT + 4, _TAGS_AT + 4 + _TAG_BYTES * count, _TAG_BYTES)
    return any(profile[start : start + 4] in _TABLES for start in starts)


def _bend(transform: ImageCms.ImageCmsTransform, mode: str) -> int:
    """Return how far a profile moves a grey at most."""
    ramp = Image.frombytes("L", (256, 1), bytes(range(256)))
    shown = transform.apply(ramp.convert(mode))
    moved = ImageChops.difference(shown, ramp.convert("RGB"))
    return max(highest for _, highest in ImageStat.Stat(moved).extrema)
