"""BMP files with every header and every way to store pixels."""

from collections.abc import Iterator

import numpy as np

from testing.evasion.corpus.sample import SIZE, Sample, colours, indexed, opacities
from testing.evasion.files.bmp_file import (
    BITFIELDS,
    CORE,
    INFO,
    INFO_V2,
    INFO_V3,
    OS2,
    RLE8,
    RLE24,
    V4,
    V5,
    bmp,
    packed_rows,
    plain_rows,
    run_lengths,
    runs_of_colours,
    wide_rows,
)

HEADERS = {"core": CORE, "info": INFO, "info 52": INFO_V2, "info 56": INFO_V3, "OS/2": OS2, "V4": V4, "V5": V5}
MASKS_32 = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)


def bmp_samples() -> Iterator[Sample]:
    """Yield the files."""
    red, green, blue = (colours()[:, :, channel].astype(np.uint32) for channel in range(3))
    blue_first = colours()[:, :, ::-1]
    for name, header in HEADERS.items():
        yield Sample(f"24 bits, {name}", bmp(SIZE, 24, plain_rows(blue_first), header=header))
        for bits in (1, 4, 8) if header == CORE else (1, 2, 4, 8):
            indices, palette = indexed(2**bits)
            entries = [(r, g, b) for r, g, b in np.frombuffer(palette, np.uint8).reshape(-1, 3).tolist()]
            yield Sample(
                f"{bits} bits, {name}", bmp(SIZE, bits, packed_rows(indices, bits), header=header, palette=entries)
            )
            if bits == 8 and header != CORE:
                data = bmp(SIZE, 8, run_lengths(indices), header=header, palette=entries, compression=RLE8)
                yield Sample(f"run lengths, {name}", data)
        if header == CORE:
            continue
        for opacity, alpha in {"0": 0, "255": 255, "graded": opacities().astype(np.uint32)}.items():
            values = red << 16 | green << 8 | blue | np.asarray(alpha, np.uint32) << 24
            yield Sample(f"32 bits with alpha {opacity}, {name}", bmp(SIZE, 32, wide_rows(values, 32), header=header))
            if header == OS2:
                continue
            masked = bmp(
                SIZE,
                32,
                wide_rows(values, 32),
                header=header,
                compression=BITFIELDS,
                masks=MASKS_32[: 3 if header in {INFO, INFO_V2} else 4],
            )
            yield Sample(f"32 bits by masks with alpha {opacity}, {name}", masked)
        top = bmp(SIZE, 24, plain_rows(blue_first, top_down=True), header=header, top_down=True)
        yield Sample(f"from the top, {name}", top)
        yield Sample(f"with a gap, {name}", bmp(SIZE, 24, plain_rows(blue_first), header=header, gap=20))
    data = bmp(SIZE, 24, runs_of_colours(colours()), header=OS2, compression=RLE24)
    yield Sample("run lengths of colours, OS/2", data)
    yield from _masked(red, green, blue)
    two = [(0, 0, 0), (255, 255, 255)]
    for bits in (4, 8):
        indices = indexed(2**bits)[0]
        yield Sample(f"{bits} bits, a palette of 2", bmp(SIZE, bits, packed_rows(indices, bits), palette=two))


def _masked(red: np.ndarray, green: np.ndarray, blue: np.ndarray) -> Iterator[Sample]:
    five = (red >> 3) << 10 | (green >> 3) << 5 | blue >> 3
    six = (red >> 3) << 11 | (green >> 2) << 5 | blue >> 3
    four = (red >> 4) << 8 | (green >> 4) << 4 | blue >> 4 | 0xF000
    ten = (red << 2) << 20 | (green << 2) << 10 | blue << 2
    for name, header in {"info": INFO, "V4": V4, "V5": V5}.items():
        yield Sample(f"16 bits, {name}", bmp(SIZE, 16, wide_rows(five, 16), header=header))
        for masks_name, bits, values, masks in (
            ("555", 16, five, (0x7C00, 0x3E0, 0x1F)),
            ("565", 16, six, (0xF800, 0x7E0, 0x1F)),
            ("4444", 16, four, (0xF00, 0xF0, 0xF, 0xF000)),
            ("10 bits each", 32, ten, (0x3FF00000, 0xFFC00, 0x3FF)),
            ("swapped", 32, red << 16 | green << 8 | blue, (0xFF, 0xFF00, 0xFF0000)),
        ):
            used = masks[:3] if header == INFO else masks
            data = bmp(SIZE, bits, wide_rows(values, bits), header=header, compression=BITFIELDS, masks=used)
            yield Sample(f"masks {masks_name}, {name}", data)
