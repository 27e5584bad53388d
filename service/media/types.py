"""The types that the media stages pass to each other."""

from dataclasses import dataclass

from service.core.pixels import RgbPixels


@dataclass(frozen=True, slots=True)
class FetchedImage:
    """An encoded image file, unchecked."""

    data: bytes | bytearray


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """A checked image: its facts and the frames to judge."""

    sha256: str
    """SHA-256 of the encoded file in lower-case hexadecimal."""
    width: int
    """Pixels of the whole image, upright."""
    height: int
    encoded_bytes: int
    media_type: str
    """Media type, recognised from the content."""
    frames_total: int
    frames: tuple[RgbPixels, ...]
    """Within the engine's `ImageSpec`."""
    profile_ignored: bool = False
    """It had a colour profile that could not be used: its colours were taken for sRGB."""
