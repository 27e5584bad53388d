"""A frame as one group of viewers shows it."""

from dataclasses import dataclass, replace
from typing import Self

from PIL import Image

from service.media.view import View

_OPAQUE = 255


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded frame in memory, reduced and in sRGB."""

    image: Image.Image
    """RGB, without regard to its opacity."""
    view: View
    is_managed: bool = True
    """Its colour profile, if it has one, could be used."""
    alpha: Image.Image | None = None
    """Its opacity; None if it has no transparency."""
    beneath: Image.Image | None = None
    """Its colours where it is transparent; None where no picture can lie there."""

    @property
    def is_see_through(self) -> bool:
        """Some of it is not opaque."""
        return self.alpha is not None and self.alpha.getextrema()[0] != _OPAQUE

    def transposed(self, how: Image.Transpose) -> Self:
        """Return the picture turned or mirrored."""
        turned = (each and each.transpose(how) for each in (self.alpha, self.beneath))
        alpha, beneath = turned
        return replace(self, image=self.image.transpose(how), alpha=alpha, beneath=beneath)
