"""JPEG, WebP, AVIF and BMP files: orientation, shape, alpha, colour profiles, several pictures in one, cut ends."""

import struct

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from service.core.pixels import RgbPixels
from testing.evasion.corpus.sample import saved, turned
from testing.evasion.files.bmp_file import BITFIELDS, INFO, INFO_V3, PLAIN, V4, V5, bmp, wide_rows
from testing.evasion.files.icc_profile import SWAPPED_PRIMARIES, grey_profile, rgb_profile
from testing.evasion.variants.variant import HARMFUL, HARMLESS, LARGE_SIZE, SIZE, Variant, photograph

# What an encoder has to do, so that EXIF's number makes the picture upright again.
_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/></rdf:RDF></x:xmpmeta>'
)
_FORMATS = st.sampled_from(["JPEG", "PNG", "WEBP"])


@st.composite
def orientations(draw: st.DrawFn, harmful: RgbPixels, _harmless: RgbPixels) -> Variant:
    """Draw a picture with an orientation in EXIF, in XMP, in both, or twice."""
    name = draw(_FORMATS)
    stored, exif, xmp = draw(st.integers(1, 8)), draw(st.sampled_from([None, *range(10)])), draw(st.integers(0, 8))
    image = Image.fromarray(harmful)
    turn = _STORED[stored]
    options = {} if exif is None else {"exif": turned(exif)}
    if xmp and name != "PNG":
        options["xmp"] = _XMP % xmp
    data = saved(image if turn is None else image.transpose(turn), name, quality=90, **options)
    second = draw(st.sampled_from([0, 0, 3, 6])) if name == "JPEG" else 0
    if second:
        body = b"Exif\0\0" + turned(second).removeprefix(b"Exif\0\0")
        segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
        at = draw(st.sampled_from([2, data.index(b"\xff\xdb")]))
        data = data[:at] + segment + data[at:]
    how = f"{name}, stored for {stored}, EXIF {exif}, XMP {xmp}, second EXIF {second}"
    return Variant("orientation", how, data, harmful)


@st.composite
def shapes(draw: st.DrawFn, _harmful: RgbPixels, _harmless: RgbPixels) -> Variant:
    """Draw a long picture that holds the harmful one at some place."""
    harmful, harmless = (photograph(draw(st.sampled_from(names)), LARGE_SIZE) for names in (HARMFUL, HARMLESS))
    flat = draw(st.booleans())
    count = draw(st.integers(2 if flat else 3, 5))  # beyond 2:1
    place = draw(st.integers(0, count - 1))
    parts = [harmful if number == place else harmless for number in range(count)]
    pixels = np.concatenate(parts, axis=1 if flat else 0)
    name = draw(_FORMATS)
    how = f"{name}, part {place} of {count} {'across' if flat else 'down'}"
    return Variant("shape", how, saved(Image.fromarray(pixels), name, quality=90), pixels, by_likeness=True)


@st.composite
def bitmaps(draw: st.DrawFn, harmful: RgbPixels, _harmless: RgbPixels) -> Variant:
    """Draw a BMP of 32 bits with an alpha channel that some viewers apply."""
    header, compression = draw(st.sampled_from([INFO, INFO_V3, V4, V5])), draw(st.sampled_from([PLAIN, BITFIELDS]))
    kind = draw(st.sampled_from(["0", "1", "255", "of the picture", "one pixel"]))
    red, green, blue = (harmful[:, :, channel].astype(np.uint32) for channel in range(3))
    alpha = {"of the picture": 255 - green}.get(kind, np.full_like(red, int(kind) if kind.isdigit() else 0))
    if kind == "one pixel":
        alpha[0, 0] = 255
    if kind == "of the picture" and draw(st.booleans()):
        red = green = blue = np.full_like(red, 128)
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    stored = red << 16 | green << 8 | blue | alpha << 24
    top_down = draw(st.booleans())
    used = masks[: 3 if header == INFO else 4] if compression == BITFIELDS or header != INFO else ()
    data = bmp(
        SIZE, 32, wide_rows(stored, 32, top_down=top_down),
        header=header, compression=compression, masks=used, top_down=top_down,
    )  # fmt: skip
    return Variant("BMP alpha", f"header {header}, compression {compression}, alpha {kind}", data, harmful)


@st.composite
def profiles(draw: st.DrawFn, harmful: RgbPixels, _harmless: RgbPixels) -> Variant:
    """Draw a JPEG, WebP or AVIF whose colours are right only by its profile or its colour numbers."""
    name = draw(st.sampled_from(["JPEG", "WEBP", "AVIF"]))
    power, grey, swapped = draw(st.sampled_from([0.3, 1.0, 2.2, 6.0])), draw(st.booleans()), draw(st.booleans())
    light = np.where(harmful / 255 <= 0.04045, harmful / 255 / 12.92, ((harmful / 255 + 0.055) / 1.055) ** 2.4)
    stored = np.rint(light ** (1 / power) * 255).astype(np.uint8)
    image = Image.fromarray(stored[:, :, ::-1] if swapped else stored)
    if grey:
        image = image.convert("L")
    profile = draw(
        st.sampled_from([rgb_profile(power), rgb_profile(power, SWAPPED_PRIMARIES), grey_profile(power), b"none"])
    )
    data = saved(image, name, quality=90, icc_profile=profile)
    if name == "AVIF" and draw(st.booleans()):
        data = saved(image, name, quality=90, subsampling="4:4:4")
        at = data.index(b"colrnclx") + 8
        transfer = draw(st.sampled_from([4, 5, 8, 13, 16, 18]))
        data = data[:at] + struct.pack(">HH", draw(st.sampled_from([1, 9, 12])), transfer) + data[at + 4 :]
    return Variant("profile", f"{name}, power {power}, grey {grey}, swapped {swapped}", data, harmful)


@st.composite
def several_pictures(draw: st.DrawFn, harmful: RgbPixels, harmless: RgbPixels) -> Variant:
    """Draw a file with another picture behind it, in its metadata, or as a second page."""
    first, second = (harmful, harmless) if draw(st.booleans()) else (harmless, harmful)
    name, other = draw(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP"])), draw(_FORMATS)
    place = draw(st.sampled_from(["behind", "thumbnail", "second page"]))
    image, hidden = Image.fromarray(first), Image.fromarray(second)
    if place == "second page":
        data = saved(image, "MPO", save_all=True, append_images=[hidden], quality=90)
    elif place == "thumbnail" and name in {"JPEG", "WEBP"}:
        data = saved(image, name, quality=90, exif=_with_thumbnail(saved(hidden, "JPEG", quality=80)))
    else:
        data = saved(image, name, quality=90) + bytes(draw(st.integers(0, 3))) + saved(hidden, other, quality=90)
    return Variant("several pictures", f"{name} and {other} {place}", data, harmful)


def _with_thumbnail(jpeg: bytes) -> bytes:
    """Return EXIF whose second directory holds a thumbnail."""
    entries = struct.pack("<HHHII", 2, 0x201, 4, 1, 44) + struct.pack("<HHII", 0x202, 4, 1, len(jpeg))
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HI", 0, 14) + entries + bytes(4) + jpeg


@st.composite
def cut_files(draw: st.DrawFn, harmful: RgbPixels, _harmless: RgbPixels) -> Variant:
    """Draw a file whose end is missing, or that has wrong bytes in its middle."""
    name = draw(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"]))
    image = Image.fromarray(harmful)
    progressive = name == "JPEG" and draw(st.booleans())
    options = {"progressive": True} if progressive else {}
    data = saved(image, name, **({"quality": 90} if name not in {"GIF", "BMP"} else {}), **options)
    share = draw(st.floats(0.3, 1.0))
    kind = draw(st.sampled_from(["cut", "zeros", "changed"]))
    at = min(len(data) - 1, int(len(data) * share))
    if kind == "cut":
        data = data[:at]
    elif kind == "zeros":
        data = data[:at] + bytes(len(data) - at)
    else:
        data = data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]
    how = f"{name}{' progressive' if progressive else ''} {kind} at {share:.2f}"
    return Variant("cut or changed", how, data, harmful)
