"""Whether two pictures show the same, as far as an eye sees on a preview."""

from collections.abc import Iterator

from PIL import Image, ImageChops

# Of 255, in any hundredth of the picture. Previews of the twelve photographs of the demo differ by up to 10, with
# brighter colours or two percent cut off by up to 50; different photographs by 98 and more.
VISIBLE_DIFFERENCE = 56
_SIDE = 10
# Shapes that differ by less come from rounding.
_SAME_SHAPE = 0.03

Box = tuple[float, float, float, float]


def looks_like(shown: Image.Image, other: Image.Image) -> bool:
    """Say whether the other picture shows the first one: stretched, with margins, cut to its shape, or turned."""
    return any(
        _difference(_cells(shown, shown_box), _cells(turned, turned_box)) <= VISIBLE_DIFFERENCE
        for turned in _turned(other)
        for shown_box, turned_box in _placements(shown, turned)
    )


def _turned(image: Image.Image) -> Iterator[Image.Image]:
    yield image
    for turn in (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270):
        yield image.transpose(turn)


def _placements(shown: Image.Image, other: Image.Image) -> Iterator[tuple[Box, Box]]:
    yield _whole(shown), _whole(other)
    shape, other_shape = shown.width / shown.height, other.width / other.height
    if abs(shape / other_shape - 1) > _SAME_SHAPE:
        yield _whole(shown), _centre(other, shape)
        yield _centre(shown, other_shape), _whole(other)


def _whole(image: Image.Image) -> Box:
    return 0, 0, image.width, image.height


def _centre(image: Image.Image, shape: float) -> Box:
    """Return the middle of an image that has this ratio of width to height."""
    width, height = min(image.width, image.height * shape), min(image.height, image.width / shape)
    left, top = (image.width - width) / 2, (image.height - height) / 2
    return left, top, left + width, top + height


def _cells(image: Image.Image, box: Box) -> Image.Image:
    return image.resize((_SIDE, _SIDE), Image.Resampling.BOX, box=box)


def _difference(first: Image.Image, second: Image.Image) -> int:
    return max(ImageChops.difference(first, second).tobytes())
