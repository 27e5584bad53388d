"""A transparent picture is judged on each ground on which viewers see something else, and on no more."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from service.media.view import Ground
from tests.unit.media.decoding import decode, frames
from tests.unit.media.image_files import encoded

SIDE = 256

Draw = Callable[[ImageDraw.ImageDraw], None]


def scene() -> Image.Image:
    """Return a picture with lights, darks and colours."""
    return Image.merge("RGB", [Image.radial_gradient("L"), Image.linear_gradient("L"), Image.linear_gradient("L")])


def cut_out(fill: Image.Image | str, draw: Draw, *, side: int = SIDE) -> Image.Image:
    """Return a shape with the soft edge that every program draws."""
    alpha = Image.new("L", (4 * side, 4 * side))
    draw(ImageDraw.Draw(alpha))
    image = Image.new("RGB", (side, side), fill) if isinstance(fill, str) else fill
    opacity = alpha.resize((side, side), Image.Resampling.LANCZOS)
    image.paste("black", mask=opacity.point(lambda sample: 255 * (sample == 0)))
    image.putalpha(opacity)
    return image


def disc(draw: ImageDraw.ImageDraw) -> None:
    side = draw.im.size[0]
    draw.ellipse((side // 8, side // 8, side - side // 8, side - side // 8), fill=255)


def lines(draw: ImageDraw.ImageDraw) -> None:
    side = draw.im.size[0]
    for top in range(0, side, side // 16):
        draw.line((side // 16, top, side - side // 16, top + 20), fill=255, width=side // 100)


def screenshot(draw: ImageDraw.ImageDraw) -> None:
    side = draw.im.size[0]
    draw.rounded_rectangle((0, 0, side - 1, side - 1), side // 25, fill=255)


def veiled(colour: str) -> Image.Image:
    """Return a picture that is drawn by its opacity alone."""
    image = Image.new("RGB", (SIDE, SIDE), colour)
    image.putalpha(Image.radial_gradient("L"))
    return image


def two_faced() -> Image.Image:
    """Return a picture that shows one scene on white and another on black."""
    on_light = Image.linear_gradient("L").point(lambda sample: 128 + sample // 2)
    on_dark = Image.linear_gradient("L").rotate(90).point(lambda sample: sample // 2)
    alpha = ImageChops.invert(ImageChops.subtract(on_light, on_dark))
    shades = [
        min(255, 255 * dark // max(1, opacity))
        for dark, opacity in zip(on_dark.tobytes(), alpha.tobytes(), strict=True)
    ]
    grey = Image.frombytes("L", on_dark.size, bytes(shades))
    return Image.merge("LA", (grey, alpha))


def shadowed() -> Image.Image:
    """Return a window with the soft black shadow of a screenshot."""
    alpha = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(alpha).rectangle((30, 30, 225, 225), fill=140)
    alpha = alpha.filter(ImageFilter.GaussianBlur(10))
    alpha.paste(255, (30, 30, 225, 225))
    image = Image.new("RGB", (SIDE, SIDE))
    image.paste(scene().point(lambda sample: sample // 2).resize((195, 195)), (30, 30))
    image.putalpha(alpha)
    return image


def grounds(image: Image.Image, **changed: int) -> list[Ground | None]:
    decoded = decode(encoded(image, "PNG"), **changed)
    assert decoded.ambiguous == ()
    return [view.ground for view in decoded.views]


@pytest.mark.parametrize(
    "image",
    [
        scene(),
        cut_out(scene().point(lambda sample: sample // 2), disc),
        cut_out("black", disc),
        cut_out("red", disc),
        cut_out("grey", disc),
        cut_out("red", disc, side=32),
        cut_out("black", lines),
        cut_out("grey", lines),
        cut_out(scene(), screenshot),
        shadowed(),
        veiled("black"),
        Image.new("RGBA", (SIDE, SIDE)),
    ],
)
def test_what_shows_all_on_white_costs_one_look(image: Image.Image) -> None:
    assert grounds(image) == [None]


@pytest.mark.parametrize("image", [cut_out("white", disc), cut_out("white", lines), veiled("white")])
def test_what_shows_on_black_alone_is_judged_there(image: Image.Image) -> None:
    assert grounds(image) == ["dark"]


@pytest.mark.parametrize("image", [two_faced(), veiled("grey")])
def test_what_shows_two_pictures_is_judged_on_both(image: Image.Image) -> None:
    assert grounds(image) == ["light", "dark"]


def test_dark_and_light_drawings_in_one_picture_are_judged_on_both() -> None:
    image = cut_out("black", lines)
    image.alpha_composite(cut_out("white", disc).resize((64, 64)), (96, 96))
    assert grounds(image) == ["light", "dark"]


def test_a_sticker_in_the_grey_of_a_ground_is_seen() -> None:
    """On mid-grey it would be nothing at all."""
    (shown,) = frames(encoded(cut_out("#808080", disc), "PNG"))
    assert shown[0, 0].tolist() == [255, 255, 255]
    assert shown[SIDE // 2, SIDE // 2].tolist() == [128, 128, 128]


def test_a_picture_beneath_full_transparency_is_judged_as_viewers_show_it_that_ignore_it() -> None:
    image = scene()
    image.putalpha(0)
    assert grounds(image) == [None, "opaque"]
    beneath = frames(encoded(image, "PNG"))[1]
    assert np.abs(beneath.astype(int) - np.asarray(scene()).astype(int)).mean() < 1


def test_a_plain_colour_beneath_full_transparency_is_nothing() -> None:
    image = cut_out("red", disc)
    assert grounds(image) == [None]


def test_a_picture_with_more_views_than_are_allowed_is_ambiguous() -> None:
    decoded = decode(encoded(two_faced(), "PNG"), max_views=1)
    assert ([view.ground for view in decoded.views], decoded.ambiguous) == (["light"], ("opacity",))
