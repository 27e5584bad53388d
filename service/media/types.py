"""The types that the media stages pass to each other."""

from dataclasses import dataclass

from service.core.pixels import RgbPixels
from service.media.view import View


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
    views: tuple[View, ...] = ()
    """What each of `frames` shows of the image, in the same order; empty if each is one whole frame of the file."""
    ambiguous: frozenset[str] = frozenset()
    """Features of the file that viewers may show differently from what was judged, by their stable names."""
    profile_ignored: bool = False
    """It had a colour profile that could not be used: its colours were taken for sRGB."""

    @property
    def frame_numbers(self) -> tuple[int, ...]:
        """For each of `frames` the number of the frame that it is a view of."""
        return tuple(view.frame for view in self.views) or tuple(range(len(self.frames)))
