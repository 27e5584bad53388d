"""PNG files of every colour type, depth, transparency and colour declaration."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from testing.evasion.corpus.sample import Sample, colours, greys, indexed, opacities, saved, transparent_picture, turned
from testing.evasion.files.apng_file import Frame, animated_chunks
from testing.evasion.files.icc_profile import SWAPPED_PRIMARIES, WIDE_PRIMARIES, grey_profile, rgb_profile
from testing.evasion.files.png_file import (
    DEPTHS,
    GREY,
    GREY_ALPHA,
    PALETTE,
    RGB,
    RGB_ALPHA,
    SRGB_CHROMATICITIES,
    SWAPPED_CHROMATICITIES,
    WIDE_CHROMATICITIES,
    Chunk,
    Samples,
    chromaticities_chunk,
    cicp_chunk,
    file_of,
    gamma_chunk,
    png,
    profile_chunk,
)

DECLARATIONS: Mapping[str, Sequence[Chunk]] = {
    "gAMA 45455": [gamma_chunk(45455)],
    "gAMA 100000": [gamma_chunk(100000)],
    "gAMA 20000": [gamma_chunk(20000)],
    "gAMA 2000": [gamma_chunk(2000)],
    "gAMA 0": [gamma_chunk(0)],
    "gAMA of the largest value": [gamma_chunk(0xFFFFFFFF)],
    "cHRM of sRGB": [chromaticities_chunk(*SRGB_CHROMATICITIES)],
    "cHRM swapped": [chromaticities_chunk(*SWAPPED_CHROMATICITIES)],
    "cHRM wide": [chromaticities_chunk(*WIDE_CHROMATICITIES)],
    "gAMA and cHRM wide": [gamma_chunk(45455), chromaticities_chunk(*WIDE_CHROMATICITIES)],
    "gAMA and cHRM swapped": [gamma_chunk(45455), chromaticities_chunk(*SWAPPED_CHROMATICITIES)],
    "cHRM of zeros": [gamma_chunk(45455), chromaticities_chunk(*[0] * 8)],
    "sRGB": [(b"sRGB", b"\0")],
    "sRGB and gAMA 100000": [(b"sRGB", b"\0"), gamma_chunk(100000)],
    "gAMA 100000 and sRGB": [gamma_chunk(100000), (b"sRGB", b"\0")],
    "sRGB of a wrong intent": [(b"sRGB", b"\x09"), gamma_chunk(100000)],
    "iCCP wide": [profile_chunk(rgb_profile(2.2, WIDE_PRIMARIES))],
    "iCCP swapped": [profile_chunk(rgb_profile(2.2, SWAPPED_PRIMARIES))],
    "iCCP of power 1": [profile_chunk(rgb_profile(1.0))],
    "iCCP of power 5": [profile_chunk(rgb_profile(5.0))],
    "iCCP of 2 MB": [profile_chunk(rgb_profile(1.0, padding=2_000_000))],
    "iCCP of 5 MB": [profile_chunk(rgb_profile(1.0, padding=5_000_000))],
    "iCCP of grey": [profile_chunk(grey_profile(1.0))],
    "iCCP broken": [profile_chunk(b"no profile")],
    "iCCP and gAMA": [profile_chunk(rgb_profile(1.0)), gamma_chunk(20000)],
    "iCCP broken and gAMA": [profile_chunk(b"no profile"), gamma_chunk(100000)],
    "iCCP and sRGB": [profile_chunk(rgb_profile(1.0)), (b"sRGB", b"\0")],
    "sRGB and iCCP": [(b"sRGB", b"\0"), profile_chunk(rgb_profile(1.0))],
    "iCCP twice": [profile_chunk(rgb_profile(1.0)), profile_chunk(rgb_profile(2.2, SWAPPED_PRIMARIES))],
    "gAMA twice": [gamma_chunk(45455), gamma_chunk(100000)],
    "cICP sRGB": [cicp_chunk(1, 13)],
    "cICP linear": [cicp_chunk(1, 8)],
    "cICP P3": [cicp_chunk(12, 13)],
    "cICP 2020": [cicp_chunk(9, 14)],
    "cICP PQ": [cicp_chunk(9, 16)],
    "cICP HLG": [cicp_chunk(9, 18)],
    "cICP power 2.8": [cicp_chunk(1, 5)],
    "cICP narrow range": [cicp_chunk(1, 13, full_range=0)],
    "cICP with a matrix": [cicp_chunk(1, 13, 1)],
    "cICP unknown": [cicp_chunk(1, 200)],
    "cICP and iCCP": [cicp_chunk(1, 8), profile_chunk(rgb_profile(2.2, SWAPPED_PRIMARIES))],
    "cICP and gAMA": [cicp_chunk(1, 13), gamma_chunk(100000)],
    "cICP and sRGB": [cicp_chunk(1, 8), (b"sRGB", b"\0")],
}


def png_samples() -> Iterator[Sample]:
    """Yield the files."""
    yield from _types()
    yield from _transparent()
    yield from _declared()
    yield from _misplaced()
    yield from _animated()
    for number in range(1, 9):
        yield Sample(f"EXIF orientation {number}", saved(transparent_picture(), "PNG", exif=turned(number)))


def _samples(colour_type: int, bits: int) -> tuple[Samples, list[Chunk]]:
    """Return the picture's samples, and a palette if the type has one."""
    maximum = 2**bits - 1
    match colour_type:
        case 0:
            return greys(maximum)[:, :, None], []
        case 2:
            return colours(maximum=maximum), []
        case 3:
            indices, palette = indexed(2**bits)
            return indices[:, :, None], [(b"PLTE", palette)]
        case 4:
            return np.dstack([greys(maximum), opacities(maximum)]), []
    return np.dstack([colours(maximum=maximum), opacities(maximum)]), []


def _types() -> Iterator[Sample]:
    for colour_type, depths in DEPTHS.items():
        for bits in depths:
            samples, palette = _samples(colour_type, bits)
            for interlaced in (False, True):
                name = f"type {colour_type} of {bits} bits{' interlaced' if interlaced else ''}"
                yield Sample(
                    name, png(samples, bits=bits, colour_type=colour_type, interlaced=interlaced, before=palette)
                )


def _transparent() -> Iterator[Sample]:
    for bits in DEPTHS[GREY]:
        samples, _ = _samples(GREY, bits)
        for name, value in {"a grey that occurs": int(samples[20, 24, 0]), "the largest": 2**bits - 1}.items():
            chunk = (b"tRNS", value.to_bytes(2))
            yield Sample(f"tRNS of {name}, {bits} bits", png(samples, bits=bits, colour_type=GREY, before=[chunk]))
    for bits in DEPTHS[RGB]:
        samples, _ = _samples(RGB, bits)
        samples[10:30, 10:30] = samples[5, 5]
        chunk = (b"tRNS", b"".join(int(each).to_bytes(2) for each in samples[5, 5]))
        yield Sample(f"tRNS of a colour, {bits} bits", png(samples, bits=bits, colour_type=RGB, before=[chunk]))
    two = np.where(greys() > 127, 0xFFFF, 0x8080)[:, :, None]
    chunk = (b"tRNS", (0xFFF0).to_bytes(2))
    yield Sample("tRNS that differs in the lower byte", png(two, bits=16, colour_type=GREY, before=[chunk]))
    high = np.repeat(two, 3, axis=2)
    chunk = (b"tRNS", (0xFFF0).to_bytes(2) * 3)
    yield Sample("tRNS of RGB that differs in the lower byte", png(high, bits=16, colour_type=RGB, before=[chunk]))
    for bits in DEPTHS[PALETTE]:
        samples, palette = _samples(PALETTE, bits)
        alphas = bytes(range(0, 256, 256 // 2**bits))
        before = [*palette, (b"tRNS", alphas)]
        yield Sample(f"tRNS of a palette, {bits} bits", png(samples, bits=bits, colour_type=PALETTE, before=before))
    samples, palette = _samples(PALETTE, 8)
    early = [(b"tRNS", bytes(100)), *palette]
    yield Sample("tRNS before its palette", png(samples, bits=8, colour_type=PALETTE, before=early))


def _declared() -> Iterator[Sample]:
    for name, chunks in DECLARATIONS.items():
        for colour_type, bits in ((RGB, 8), (RGB, 16), (PALETTE, 8), (GREY, 8), (RGB_ALPHA, 8), (GREY_ALPHA, 8)):
            if bits == 16 and "MB" in name:
                continue
            samples, palette = _samples(colour_type, bits)
            data = png(samples, bits=bits, colour_type=colour_type, before=[*chunks, *palette])
            yield Sample(f"{name}, type {colour_type} of {bits} bits", data)


def _misplaced() -> Iterator[Sample]:
    samples, palette = _samples(PALETTE, 8)
    for name in ("gAMA 100000", "cHRM swapped", "iCCP of power 1", "cICP linear", "sRGB"):
        chunks = DECLARATIONS[name]
        yield Sample(f"{name} after PLTE", png(samples, bits=8, colour_type=PALETTE, before=[*palette, *chunks]))
        yield Sample(f"{name} after IDAT", png(colours(), bits=8, colour_type=RGB, after=chunks))


def _animated() -> Iterator[Sample]:
    first, second, third = (np.ascontiguousarray(np.roll(colours(), turn, axis=2)) for turn in range(3))
    part = np.ascontiguousarray(second[10:30, 8:40])
    for disposal in range(3):
        frames = [Frame(first), Frame(part, offset=(8, 10), disposal=disposal), Frame(third[:12, :12], offset=(30, 20))]
        yield Sample(f"animation, disposal {disposal}", file_of(animated_chunks(frames)))
    yield Sample("animation of one frame", file_of(animated_chunks([Frame(second)], default=first)))
    yield Sample(
        "animation without the default image", file_of(animated_chunks([Frame(second), Frame(third)], default=first))
    )
    yield Sample(
        "animation of fewer frames than it says", file_of(animated_chunks([Frame(second), Frame(third)], claimed=3))
    )
    yield Sample(
        "animation of more frames than it says", file_of(animated_chunks([Frame(second), Frame(third)], claimed=1))
    )
    times = [Frame(first, (0, 0)), Frame(second, (3, 0)), Frame(third, (1, 1000))]
    yield Sample("animation with odd times", file_of(animated_chunks(times)))
    yield from _cleared()


def _cleared() -> Iterator[Sample]:
    """Yield animations of which parts are cleared, with and without transparency."""
    for colour_type in DEPTHS:
        samples, palette = _samples(colour_type, 8)
        corner = samples[:1, :1].reshape(-1)
        colour = (b"tRNS", b"".join(int(each).to_bytes(2) for each in corner))
        index = (b"tRNS", bytes(number != 77 for number in range(256)).replace(b"\1", b"\xff"))
        for name, chunks in {"": palette, " with tRNS": [*palette, index if palette else colour]}.items():
            if name and colour_type in {GREY_ALPHA, RGB_ALPHA}:
                continue
            for disposal in (1, 2):
                for blend in (0, 1):
                    frames = [
                        Frame(samples, disposal=disposal),
                        Frame(samples[5:25, 5:35], offset=(5, 5), disposal=disposal, blend=blend),
                        Frame(samples[:12, :12], offset=(30, 20), blend=blend),
                    ]
                    data = file_of(animated_chunks(frames, colour_type=colour_type, before=chunks))
                    yield Sample(f"cleared by {disposal}, blend {blend}, type {colour_type}{name}", data)
