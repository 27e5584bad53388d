"""Any colour mode to 8-bit sRGB on a neutral ground. Works on Pillow images in memory, already reduced where it can.

Two halves: `widen` runs before resizing, because palettes, bits and 16-bit samples cannot be averaged as they are;
`to_srgb` runs after it, on few pixels.
"""

from io import BytesIO

from PIL import Image, ImageCms

# Mid-grey: shows light and dark drawings alike, where white or black would hide one of them.
NEUTRAL_GROUND = (128, 128, 128)

# Printing profiles are the largest honest ones, at 0.5 to 3 MB.
MAX_PROFILE_BYTES = 4 * 1024 * 1024

# A profile of the fourth version may be a chain of steps, each of which every colour goes through. Real chains have a
# handful; browsers read none.
MAX_PROFILE_STEPS = 64
PROFILE_STEPS = (b"matf", b"cvst", b"clut")

# 65535 / 257 = 255; the half rounds where the conversion would cut off.
SIXTEEN_TO_EIGHT_BITS = 1 / 257
HALF = 0.5

# Which of an image's modes a profile's colour space speaks about.
PROFILE_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def widen(image: Image.Image) -> Image.Image:
    """Return the image as L, RGB, CMYK, LA or RGBA: 8 bits a sample, no palette, transparency as an alpha channel."""
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if image.has_transparency_data and image.mode not in {"LA", "RGBA"}:
        return image.convert("RGBA")
    if image.mode == "P":
        return image.convert("RGB")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in {"L", "LA", "RGB", "RGBA", "CMYK"} else image.convert("RGB")


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bool]:
    """Return a widened image as RGB in sRGB, laid on the neutral ground, and whether its profile could be used.

    A profile that is broken, too large or about other colours than the image's is ignored, as browsers do.
    """
    alpha = image.getchannel("A") if image.mode in {"LA", "RGBA"} else None
    colours = image.convert(image.mode[:-1]) if alpha else image
    managed = _apply_profile(colours, profile) if profile else colours.convert("RGB")
    rgb = managed or colours.convert("RGB")
    if alpha:
        rgb = Image.composite(rgb, Image.new("RGB", rgb.size, NEUTRAL_GROUND), alpha)
    return rgb, managed is not None


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Scale to 8 bits; Pillow's own conversion would clip all above 255 to white."""
    key = image.info.get("transparency")
    grey = image.point(lambda sample: sample * SIXTEEN_TO_EIGHT_BITS + HALF).convert("L")
    if key is None:
        return grey
    grey.info["transparency"] = round(key * SIXTEEN_TO_EIGHT_BITS)
    return grey.convert("LA")


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Return the image in sRGB, or None if the profile cannot be used."""
    if len(profile) > MAX_PROFILE_BYTES or sum(map(profile.count, PROFILE_STEPS)) > MAX_PROFILE_STEPS:
        return None
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if PROFILE_MODES.get(source.profile.xcolor_space) != image.mode:
            return None
        target = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(source, target, image.mode, "RGB")
        return transform.apply(image)
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None
