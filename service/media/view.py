"""Which view of an image a judged picture is."""

from dataclasses import dataclass
from typing import Literal

Ground = Literal["light", "dark", "opaque"]
Colours = Literal["declared", "plain"]

VIEWS_A_FRAME = 4
"""At most: on two grounds, with two kinds of colours."""


@dataclass(frozen=True, slots=True)
class View:
    """What one judged picture shows of an image file; several views of one frame count by the worst of them."""

    frame: int = 0
    """Number of the frame in the file, from 0."""
    shown_ms: int | None = None
    """How long the frame is shown; None for a still picture."""
    ground: Ground | None = None
    """What a transparent picture was laid on: `opaque` leaves its transparency out. None where light shows all."""
    colours: Colours | None = None
    """Whether the file's colour declarations were applied; None where it makes no visible difference."""
    part: tuple[int, int, int, int] | None = None
    """Left, top, width and height in pixels of the upright image; None for the whole picture."""
