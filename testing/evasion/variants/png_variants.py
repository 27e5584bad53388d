"""PNG files: control chunks of animations, tone curves and colour declarations, colours declared transparent."""

import struct

import numpy as np
from hypothesis import strategies as st

from service.core.pixels import RgbPixels
from testing.evasion.files.apng_file import Frame, animated_chunks
from testing.evasion.files.icc_profile import SWAPPED_PRIMARIES, WIDE_PRIMARIES, rgb_profile
from testing.evasion.files.png_file import (
    GREY,
    GREY_ALPHA,
    RGB,
    RGB_ALPHA,
    SIGNATURE,
    SRGB_CHROMATICITIES,
    SWAPPED_CHROMATICITIES,
    WIDE_CHROMATICITIES,
    Chunk,
    Samples,
    chromaticities_chunk,
    chunk_bytes,
    cicp_chunk,
    gamma_chunk,
    png,
    profile_chunk,
)
from testing.evasion.variants.variant import DRAWING, Variant, photograph

_COUNTS = st.sampled_from([0, 1, 2, 3, 4, 100, 2**31 - 1, 2**31, 2**32 - 1])
_EDITS = ("twice", "removed", "moved", "wrong CRC", "count", "number", "emptied", "split")
_INK_PERCENTAGE = 10  # of the drawing
_CONTROLS = (b"acTL", b"fcTL", b"fdAT", b"IDAT")


@st.composite
def animation_controls(draw: st.DrawFn, harmful: RgbPixels, harmless: RgbPixels) -> Variant:
    """Draw an animation whose chunks are doubled, moved, removed or edited."""
    chunks = list(draw(st.sampled_from(_animations(harmful, harmless))))
    edits = draw(st.lists(st.sampled_from(_EDITS), max_size=3))
    broken: set[int] = set()
    done = [_edit(draw, chunks, edit, broken) for edit in edits]
    body = b"".join(chunk_bytes(*chunk, wrong_crc=number in broken) for number, chunk in enumerate(chunks))
    return Variant("animation control", "; ".join(done), SIGNATURE + body, harmful)


def _animations(harmful: RgbPixels, harmless: RgbPixels) -> list[list[Chunk]]:
    bad, good = Frame(harmful), Frame(harmless)
    return [
        animated_chunks([bad], default=harmless),
        animated_chunks([bad, bad], default=harmless),
        animated_chunks([good, bad]),
        animated_chunks([bad, good]),
        animated_chunks([good], default=harmful),
        animated_chunks([good, bad, good]),
        animated_chunks([good, bad], plays=1),
    ]


def _edit(draw: st.DrawFn, chunks: list[Chunk], edit: str, broken: set[int]) -> str:
    places = [number for number, (kind, _) in enumerate(chunks) if kind in _CONTROLS]
    if not places:
        return "nothing left"
    at = draw(st.sampled_from(places))
    name = f"{chunks[at][0].decode()} {at} {edit}"
    anywhere = st.integers(1, len(chunks) - 1)
    if edit == "twice":
        chunks.insert(draw(anywhere), chunks[at])
    elif edit == "moved":
        chunks.insert(draw(anywhere), chunks.pop(at))
    elif edit == "wrong CRC":
        broken.add(at)
    else:
        chunks[at : at + 1] = _edited(draw, *chunks[at], edit)
    return name


def _edited(draw: st.DrawFn, kind: bytes, body: bytes, edit: str) -> list[Chunk]:
    """Return what takes the place of a chunk."""
    match edit:
        case "removed":
            return []
        case "count" | "number" if kind != b"IDAT":
            return [(kind, struct.pack(">I", draw(_COUNTS)) + body[4:])]
        case "emptied":
            return [(kind, body[: draw(st.integers(0, 8))])]
        case "split":
            cut = draw(st.integers(0, len(body)))
            return [(kind, body[:cut]), (kind, body[cut:])]
    return [(kind, body)]


@st.composite
def tone_curves(draw: st.DrawFn, harmful: RgbPixels, harmless: RgbPixels) -> Variant:
    """Draw a picture stored so that only the declared curve shows it, among pixels of another one."""
    power, name, chunks = draw(st.one_of(_gammas(), _profiles(), _transfers()))
    linear = _linear(harmful / 255)
    stored = np.rint(linear ** (1 / power) * 65535).astype(np.uint16)
    mixed = draw(st.sampled_from(["alone", "every second pixel", "every second row"]))
    if mixed != "alone":
        other = _linear(harmless / 255) if draw(st.booleans()) else harmless / 255
        hidden = np.rint(other * 65535 * draw(st.sampled_from([0.3, 0.6, 1.0]))).astype(np.uint16)
        down, across = np.indices(stored.shape[:2])
        chosen = (down + across * (mixed == "every second pixel")) % 2 == 1
        stored[chosen] = hidden[chosen]
    chunks = [*chunks, *draw(st.sampled_from([[], [(b"sRGB", b"\0")], [gamma_chunk(45455)], [gamma_chunk(100000)]]))]
    chunks = draw(st.permutations(chunks))
    sixteen = draw(st.booleans())
    samples = stored if sixteen else stored >> 8
    order = "+".join(kind.decode() for kind, _ in chunks)
    data = png(samples, bits=16 if sixteen else 8, colour_type=RGB, before=chunks)
    return Variant("tone curve", f"{name}, {mixed}, {order}, {16 if sixteen else 8} bits", data, harmful)


def _gammas() -> st.SearchStrategy[tuple[float, str, list[Chunk]]]:
    values = st.sampled_from([500, 1000, 2000, 5000, 10000, 20000, 45455, 60000, 100000, 200000, 400000])
    return values.map(lambda value: (100000 / value, f"gAMA {value}", [gamma_chunk(value)]))


def _profiles() -> st.SearchStrategy[tuple[float, str, list[Chunk]]]:
    drawn = st.tuples(st.sampled_from([0.3, 1.0, 5.0, 20.0, 60.0]), st.sampled_from([0, 0, 0, 2_000_000, 5_000_000]))
    return drawn.map(
        lambda each: (each[0], f"iCCP {each[0]} of {each[1]}", [profile_chunk(rgb_profile(each[0], padding=each[1]))])
    )


def _transfers() -> st.SearchStrategy[tuple[float, str, list[Chunk]]]:
    powers = {8: 1.0, 4: 2.2, 5: 2.8, 13: 2.2, 16: 4.0}
    return st.sampled_from(list(powers)).map(lambda number: (powers[number], f"cICP {number}", [cicp_chunk(1, number)]))


def _linear(shown: Samples) -> Samples:
    """Return the light of sRGB values."""
    light: Samples = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    return light


_PRIMARIES: dict[str, list[Chunk]] = {
    "cHRM swapped": [gamma_chunk(45455), chromaticities_chunk(*SWAPPED_CHROMATICITIES)],
    "cHRM wide": [gamma_chunk(45455), chromaticities_chunk(*WIDE_CHROMATICITIES)],
    "cHRM": [chromaticities_chunk(*SRGB_CHROMATICITIES)],
    "iCCP swapped": [profile_chunk(rgb_profile(2.2, SWAPPED_PRIMARIES))],
    "iCCP wide": [profile_chunk(rgb_profile(2.2, WIDE_PRIMARIES))],
    "cICP 2020": [cicp_chunk(9, 13)],
    "cICP P3": [cicp_chunk(12, 13)],
    "iCCP broken": [profile_chunk(b"none")],
}


@st.composite
def colour_declarations(draw: st.DrawFn, harmful: RgbPixels, _harmless: RgbPixels) -> Variant:
    """Draw one or two declarations of primaries, in any order, with channels swapped or not."""
    names = draw(st.lists(st.sampled_from(list(_PRIMARIES)), min_size=1, max_size=2, unique=True))
    swapped = draw(st.booleans())
    samples = harmful[:, :, ::-1] if swapped else harmful
    chunks = [chunk for name in names for chunk in _PRIMARIES[name]]
    data = png(samples, bits=8, colour_type=RGB, before=chunks)
    return Variant("colour declaration", f"{names}, channels {'swapped' if swapped else 'kept'}", data, harmful)


@st.composite
def transparent_values(draw: st.DrawFn, _harmful: RgbPixels, _harmless: RgbPixels) -> Variant:
    """Draw a drawing of two values, one of which nearly is the transparent one."""
    harmful = photograph(DRAWING)
    bits = draw(st.sampled_from([1, 2, 4, 8, 16]))
    top = 2**bits - 1
    low, high = sorted(draw(st.lists(st.integers(0, top), min_size=2, max_size=2, unique=True)))
    light = harmful.mean(axis=2) > np.percentile(harmful.mean(axis=2), _INK_PERCENTAGE)
    colour_type = draw(st.sampled_from([GREY, RGB] if bits >= 8 else [GREY]))
    near = draw(st.sampled_from([low, high]))
    declared = draw(st.sampled_from([near, near ^ 1, near ^ 0xF, near ^ 0x8000, near | 0xFF00, near & 0xFF]))
    samples = np.where(light, high, low).astype(np.uint16)[:, :, None]
    channels = 1 if colour_type == GREY else 3
    chunk = (b"tRNS", (declared & 0xFFFF).to_bytes(2) * channels)
    data = png(np.repeat(samples, channels, axis=2), bits=bits, colour_type=colour_type, before=[chunk])
    how = f"{bits} bits, {low:#x} and {high:#x}, transparent {declared:#x}, type {colour_type}"
    return Variant("transparent colour", how, data, harmful)


@st.composite
def grounds(draw: st.DrawFn, _harmful: RgbPixels, harmless: RgbPixels) -> Variant:
    """Draw a drawing that is only in the opacity of one colour, or in that of another picture."""
    harmful = photograph(DRAWING)
    grey = draw(st.sampled_from([0, 64, 120, 128, 136, 192, 255]))
    strength = draw(st.sampled_from([0.3, 0.6, 1.0]))
    opacity = np.rint((255 - harmful.mean(axis=2)) * strength).astype(np.uint8)
    single = draw(st.booleans())
    bits = draw(st.sampled_from([8, 16]))
    flat = np.full_like(opacity, grey)
    channels = [flat, opacity] if single else [flat, flat, flat, opacity]
    if draw(st.booleans()):
        rows = np.indices(opacity.shape)[0] % 2 == 1
        channels = [*harmless.transpose(2, 0, 1)[: len(channels) - 1], np.where(rows, 0, opacity)]
    samples = np.dstack(channels).astype(np.uint16) * (257 if bits == 16 else 1)
    data = png(samples, bits=bits, colour_type=GREY_ALPHA if single else RGB_ALPHA)
    return Variant("ground", f"grey {grey}, strength {strength}, {bits} bits, {len(channels)} channels", data, harmful)
