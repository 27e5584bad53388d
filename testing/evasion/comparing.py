"""Decoding held against the browser, file by file."""

from dataclasses import dataclass
from typing import Literal

from service.core.errors import RejectedError
from service.media.image import DecodeLimits, PlainImage, decode_image
from testing.browser_pixels import Shown, difference, not_judged, pictures_of

LIMITS = DecodeLimits(max_pixels=4_000_000, max_frames=16, target_pixels=4_000_000, multiple_of=1, max_views=64)

Likeness = Literal["alike", "ambiguous", "different", "refused", "shows nothing"]
"""Ambiguous: the verdict says that viewers may show something else. Refused: no verdict, only an error with a reason.
Shows nothing: the browser shows no picture of a file that was decoded or refused."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a file was decoded, against what the browser shows of it."""

    likeness: Likeness
    detail: str = ""
    ambiguous: tuple[str, ...] = ()


def compared(data: bytes, shown: Shown) -> Comparison:
    """Compare what the engine is given of a file with what the browser shows."""
    try:
        image = decode_image(data, LIMITS)
    except RejectedError as error:
        return Comparison("shows nothing" if shown.is_nothing else "refused", str(error))
    if shown.is_nothing:
        return Comparison("shows nothing", "decoded", image.ambiguous)
    detail = _differences(image, shown)
    if detail:
        return Comparison("ambiguous" if image.ambiguous else "different", detail, image.ambiguous)
    return Comparison("alike", "", image.ambiguous)


def _differences(image: PlainImage, shown: Shown) -> str:
    """Say in what an image differs from what is shown; nothing if in nothing visible."""
    if (image.width, image.height) != shown.size:
        return f"{image.width} × {image.height} instead of {shown.size[0]} × {shown.size[1]}"
    # The default image of a PNG may be no frame of its animation: it is judged too, because other viewers show it.
    if image.frames_total - len(shown.frames) not in ({0, 1} if image.media_type == "image/png" else {0}):
        return f"{image.frames_total} frames instead of {len(shown.frames)}"
    pictures = pictures_of(image)
    missed = {
        number: round(min(difference(pixels, view, shown.frames[number]) for pixels, view in pictures))
        for number in not_judged(pictures, shown)
    }
    return ", ".join(f"frame {number} by {value}" for number, value in missed.items())
