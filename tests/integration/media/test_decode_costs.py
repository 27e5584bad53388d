"""The dearest pictures within the limits, in real decoders: docs/deploy.md has what they take."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from service.core.pixels import ImageSpec
from service.media.decode_pool import ImageDecoder
from service.media.types import FetchedImage
from service.settings.media import DecodeSettings
from tests.unit.media.costly_files import jpeg_of_scans, png_of_equal_rows
from tests.unit.media.image_files import encoded

MIB = 1024 * 1024
SPEC = ImageSpec(max_pixels=512 * 512, multiple_of=32)
# As long as a busy machine wants: what counts is processor time.
SETTINGS = DecodeSettings(workers=1, timeout_s=100.0)

# The largest square within the pixel limit, one of which two frames fit, and one that fits what WebP needs.
SIDE, SIDE_OF_TWO, SIDE_OF_WEBP = 10_900, 7_740, 7_740
# The documents' figures with some room for other releases of the libraries.
SPREAD_MIB = 40
# Of a decoder's time limit as it is by default, on a machine that is half as fast as the one that measured.
MOST_CPU_S = 10.0


def flat(mode: str, side: int) -> Image.Image:
    return Image.new(mode, (side, side), (1, 2, 3, 100)[: len(Image.new(mode, (1, 1)).getbands())])


def rgba(bits: int) -> bytes:
    row = bytes([1, 2, 3, 100] * SIDE) if bits == 8 else bytes(8 * SIDE)
    return png_of_equal_rows((SIDE, SIDE), row, bits=bits, colour_type=6)


def palette_with_alpha() -> bytes:
    row = (bytes(range(256)) * (SIDE // 256 + 1))[:SIDE]
    extra = [(b"PLTE", bytes(value // 3 for value in range(768))), (b"tRNS", bytes(range(256)))]
    return png_of_equal_rows((SIDE, SIDE), row, bits=8, colour_type=3, extra=extra)


def two_frames() -> bytes:
    frames = [flat("RGBA", SIDE_OF_TWO), Image.new("RGBA", (SIDE_OF_TWO, SIDE_OF_TWO), (9, 9, 9, 9))]
    return encoded(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=100, compress_level=1)


PICTURES: dict[str, tuple[Callable[[], bytes], int]] = {
    "RGBA": (lambda: rgba(8), 490),
    "RGBA of 16 bits": (lambda: rgba(16), 490),
    "palette with alpha": (palette_with_alpha, 154),
    "baseline JPEG": (lambda: encoded(flat("RGB", SIDE), "JPEG", subsampling=0), 11),
    "JPEG of 64 scans": (lambda: jpeg_of_scans(64, (SIDE, SIDE)), 348),
    "progressive CMYK": (lambda: encoded(flat("CMYK", SIDE), "JPEG", progressive=True), 915),
    "APNG": (two_frames, 920),
    "WebP": (lambda: encoded(flat("RGB", SIDE_OF_WEBP), "WEBP", method=0), 915),
    "AVIF with alpha": (lambda: encoded(flat("RGBA", 7000), "AVIF", speed=10, subsampling="4:4:4"), 598),
}


def peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


@pytest.mark.parametrize("name", PICTURES)
async def test_the_dearest_pictures_take_what_the_documents_say(name: str) -> None:
    build, most_mib = PICTURES[name]
    data = build()
    decoder = ImageDecoder(SETTINGS)
    await decoder.start()
    (pid,) = decoder.process_ids
    before = peak_bytes(pid)
    image = await decoder.decode(FetchedImage(data), SPEC)
    taken, cpu_s = peak_bytes(pid) - before, time.clock_gettime((~pid << 3) | 2)
    await decoder.close()
    assert image.width in {SIDE, SIDE_OF_TWO, 7000}
    assert taken < (most_mib + SPREAD_MIB) * MIB, f"{taken / MIB:.0f} MiB"
    assert cpu_s < MOST_CPU_S
