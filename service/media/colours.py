"""Any colour mode to 8-bit sRGB. Works on Pillow images in memory, already reduced where it can.

Two halves: `widen` runs before resizing, because palettes, bits and 16-bit samples cannot be averaged as they are;
`to_srgb` runs after it, on few pixels.
"""

from PIL import Image

from service.media.profiles import Conversion

# Browsers take the upper byte.
SIXTEEN_TO_EIGHT_BITS = 1 / 256

# What a profile's colours are, by an image's mode.
_COLOUR_MODES = {"1": "L", "L": "L", "LA": "L", "I": "L", "CMYK": "CMYK"}


def colour_mode(image: Image.Image) -> str:
    """Return L, CMYK or RGB: the mode of the image's colours once it is widened."""
    return _COLOUR_MODES.get(image.mode.partition(";")[0], "RGB")


def widen(image: Image.Image) -> Image.Image:
    """Return the image as L, RGB, CMYK, LA or RGBA: 8 bits a sample, no palette, transparency as an alpha channel."""
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if image.has_transparency_data and image.mode not in {"LA", "RGBA"}:
        return image.convert("LA" if image.mode == "L" else "RGBA")
    if image.mode == "P":
        return image.convert("RGB")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in {"L", "LA", "RGB", "RGBA", "CMYK"} else image.convert("RGB")


def to_srgb(image: Image.Image, conversion: Conversion | None) -> Image.Image:
    """Return a widened image as RGB in sRGB, without its opacity; without a conversion, it is in sRGB."""
    colours = image.convert(image.mode[:-1]) if image.mode in {"LA", "RGBA"} else image
    return conversion.apply(colours) if conversion else colours.convert("RGB")


def converted_early(image: Image.Image, conversion: Conversion | None) -> Image.Image:
    """Return a widened image in sRGB, still with its transparency; as it is without a conversion."""
    if conversion is None:
        return image
    if image.mode not in {"LA", "RGBA"}:
        return conversion.apply(image)
    rgba = conversion.apply(image.convert(image.mode[:-1]))
    rgba.putalpha(image.getchannel("A"))
    return rgba


def hidden_below(image: Image.Image, rows: int) -> Image.Image:
    """Return a widened image of which nothing is seen below some rows."""
    with_alpha = image.convert({"L": "LA", "LA": "LA"}.get(image.mode, "RGBA"))
    alpha = with_alpha.getchannel("A")
    alpha.paste(0, (0, rows, *image.size))
    with_alpha.putalpha(alpha)
    return with_alpha


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Scale to 8 bits; Pillow's own conversion would clip all above 255 to white."""
    key = image.info.get("transparency")
    grey = image.point(lambda sample: sample * SIXTEEN_TO_EIGHT_BITS + 0.0).convert("L")
    if key is None:
        return grey
    # Compared in full depth: 256 greys of 16 bits look like one of 8.
    grey.putalpha(image.convert("I").point([255 * (sample != key) for sample in range(1 << 16)], "L"))
    return grey
