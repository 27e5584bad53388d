"""What the files of the corpus show: one small picture of many colours."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from testing.evasion.files.png_file import Samples

SIZE = WIDTH, HEIGHT = 48, 40


@dataclass(frozen=True, slots=True)
class Sample:
    """A file of the corpus."""

    name: str
    data: bytes


def colours(size: tuple[int, int] = SIZE, maximum: int = 255) -> Samples:
    """Return RGB samples: red grows to the right, green downwards, blue to the lower left."""
    width, height = size
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    stacked = np.stack([across, down, (1 - across + down) / 2], axis=2)
    samples: Samples = np.rint(stacked * maximum).astype(np.uint16 if maximum > 255 else np.uint8)
    return samples


def greys(maximum: int = 255) -> Samples:
    """Return samples of one channel."""
    samples: Samples = np.rint(colours(maximum=65535).astype(float).mean(axis=2) / 65535 * maximum).astype(np.uint16)
    return samples


def opacities(maximum: int = 255) -> Samples:
    """Return an alpha channel: opaque at the left, transparent at the right."""
    row = np.clip(np.linspace(1.3, -0.3, WIDTH), 0, 1)
    return np.rint(np.tile(row, (HEIGHT, 1)) * maximum).astype(np.uint16)


def indexed(count: int = 256) -> tuple[Samples, bytes]:
    """Return indices and the palette of at most so many colours."""
    reduced = Image.fromarray(colours()).quantize(count, dither=Image.Dither.NONE)
    palette = bytes(reduced.getpalette() or ())[: 3 * count]
    return np.asarray(reduced), palette.ljust(3 * count, b"\0")


def picture(size: tuple[int, int] = SIZE) -> Image.Image:
    """Return the picture for Pillow's encoders."""
    return Image.fromarray(colours(size))


def transparent_picture() -> Image.Image:
    """Return the picture with its alpha channel."""
    with_alpha = picture().convert("RGBA")
    with_alpha.putalpha(Image.fromarray(opacities().astype(np.uint8)))
    return with_alpha


def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    """Return what Pillow writes."""
    file = BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def turned(number: int) -> bytes:
    """Return EXIF with an orientation."""
    exif = Image.Exif()
    exif[0x112] = number
    return exif.tobytes()
