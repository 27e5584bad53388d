"""What a transparent picture is laid on: the grounds on which viewers show different things, and no more.

Browsers show a picture on white, on black, or on what the page has. A picture that hides in one ground is seen on the
other, so that two views are made where the two differ in what can be seen, and not only in the ground itself.
Some viewers, and programs that make JPEGs, ignore transparency: where much is hidden beneath it, that is a view too.
"""

from typing import NamedTuple

from PIL import Image, ImageChops, ImageFilter, ImageStat

from service.media.view import Ground

WHITE, BLACK = (255, 255, 255), (0, 0, 0)

# Of an opacity of 255: a pixel below is hidden, and one above the other covers its ground.
_HIDDEN, _OPAQUE = 8, 247

# The side of the squares that are compared. Pixels of a picture at this size are about those that an engine sees.
_COMPARED_SIDE = 256
# What the ground shines through or borders on; further inside, a picture is the same on both grounds.
_BORDER_PIXELS = 5
# Smaller shares of what is visible are corners and soft edges.
_LEAST_BORDER, _LEAST_SHEER = 0.02, 0.02

# A pixel is seen on a ground if its contrast there is so much of that on the other ground.
_AS_WELL = 0.6
# More than this may not be lost: of the border, and of all pixels, so that much of it hides little.
_LOST_OF_BORDER, _LOST_OF_ALL = 0.05, 0.005
# Sheer pixels that are seen on one ground alone, such as shadows, show nothing else on the other.
_ALONE = 0.25

# Hidden pixels with colours of their own: a share of all, and their standard deviation.
_LEAST_HIDDEN, _LEAST_DEVIATION = 0.1, 16.0


class Laid(NamedTuple):
    """A picture without transparency."""

    rgb: Image.Image
    ground: Ground | None


def laid(rgb: Image.Image, alpha: Image.Image | None, beneath: Image.Image | None = None) -> list[Laid]:
    """Return the picture on each ground that shows something else, the usual one first.

    `beneath` has the colours without regard to opacity, where any may be hidden.
    """
    if alpha is None or alpha.getextrema()[0] == 255:  # noqa: PLR2004 - opaque
        return [Laid(rgb, None)]
    light, dark = (Image.composite(rgb, Image.new("RGB", rgb.size, ground), alpha) for ground in (WHITE, BLACK))
    on_light, on_dark = _needed(light, dark, alpha)
    found = [Laid(light, "light" if on_dark else None)] if on_light else []
    if on_dark:
        found.append(Laid(dark, "dark"))
    if beneath is not None and _hides_a_picture(beneath, alpha):
        found.append(Laid(beneath, "opaque"))
    return found


def may_hide(alpha: Image.Image) -> bool:
    """Return whether so many pixels are hidden that a picture could lie there."""
    return sum(alpha.histogram()[: _HIDDEN + 1]) >= _LEAST_HIDDEN * alpha.width * alpha.height


def _needed(light: Image.Image, dark: Image.Image, alpha: Image.Image) -> tuple[bool, bool]:
    """Return whether a look on light ground is needed, and one on dark ground."""
    factor = _factor(alpha)
    light, dark, alpha = (each.reduce(factor) for each in (light, dark, alpha))
    on_light = ImageChops.invert(_darkest(light))
    on_dark = ImageChops.invert(_darkest(ImageChops.invert(dark)))
    visible = _over(alpha, _HIDDEN)
    total = _count(visible)
    solid = _over(alpha.filter(ImageFilter.MinFilter(_BORDER_PIXELS)), _OPAQUE)
    border = ImageChops.subtract(visible, solid)
    if _count(border) <= _LEAST_BORDER * total:
        return True, False
    if _is_two_faced(on_light, on_dark, alpha, total):
        return True, True
    lost_on_light, lost_on_dark = (
        _count(ImageChops.darker(border, _below(one, other, _AS_WELL)))
        for one, other in ((on_light, on_dark), (on_dark, on_light))
    )
    most = min(_LOST_OF_BORDER * _count(border), _LOST_OF_ALL * alpha.width * alpha.height)
    on_light_is_enough, on_dark_is_enough = lost_on_light <= most, lost_on_dark <= most
    return on_light_is_enough or not on_dark_is_enough, not on_light_is_enough


def _factor(image: Image.Image) -> int:
    return max(1, -(-max(image.size) // _COMPARED_SIDE))


def _is_two_faced(on_light: Image.Image, on_dark: Image.Image, alpha: Image.Image, total: int) -> bool:
    """Return whether the ground shines through an area with colours of its own: two pictures may be mixed there."""
    sheer = ImageChops.subtract(_over(alpha, _HIDDEN), _over(alpha, _OPAQUE)).filter(ImageFilter.MinFilter(3))
    alone = ImageChops.lighter(_below(on_light, on_dark, _ALONE), _below(on_dark, on_light, _ALONE))
    return _count(ImageChops.subtract(sheer, alone)) > _LEAST_SHEER * total


def _hides_a_picture(beneath: Image.Image, alpha: Image.Image) -> bool:
    """Return whether hidden colours vary, away from what is visible, which programs continue beneath its edge."""
    factor = _factor(alpha)
    beneath, alpha = beneath.reduce(factor), alpha.reduce(factor).filter(ImageFilter.MaxFilter(_BORDER_PIXELS))
    hidden = ImageChops.invert(_over(alpha, _HIDDEN))
    return may_hide(alpha) and max(ImageStat.Stat(beneath, hidden).stddev) >= _LEAST_DEVIATION


def _darkest(rgb: Image.Image) -> Image.Image:
    """Return the lowest of the three samples of each pixel."""
    red, green, blue = rgb.split()
    return ImageChops.darker(ImageChops.darker(red, green), blue)


def _over(image: Image.Image, limit: int) -> Image.Image:
    """Return a mask of the samples above a limit."""
    return image.point([0] * (limit + 1) + [255] * (255 - limit))


def _below(image: Image.Image, other: Image.Image, share: float) -> Image.Image:
    """Return a mask of the samples that are less than a share of the other image's."""
    wanted = other.point([int(value * share) for value in range(256)])
    return _over(ImageChops.subtract(wanted, image), 0)


def _count(mask: Image.Image) -> int:
    return mask.histogram()[255]
