"""Large pictures are reduced band by band; what comes out is what Pillow makes of the whole."""

import numpy as np
import pytest
from PIL import Image

from service.media import frames
from service.media.colours import to_srgb, widen
from tests.unit.media.decoding import decode
from tests.unit.media.image_files import encoded

SIZES = [(1000, 700), (999, 701), (2048, 31), (31, 2048), (640, 480)]


def noise(mode: str, size: tuple[int, int]) -> Image.Image:
    random = np.random.default_rng(5)
    if mode == "I;16":
        return Image.fromarray(random.integers(0, 65536, size[::-1], np.uint16))
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = random.integers(0, 256, (size[1], size[0], bands), np.uint8)
    image = Image.frombytes(mode, size, pixels.tobytes())
    if mode == "P":
        image.putpalette([value * 7 % 256 for value in range(768)])
        image.info["transparency"] = bytes(range(256))
    return image


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA", "I;16"])
@pytest.mark.parametrize("band_pixels", [1, 5000, 10**9])
def test_bands_leave_no_trace(
    mode: str, size: tuple[int, int], band_pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "BAND_PIXELS", band_pixels)
    image, target = noise(mode, size), (96, 32)
    whole = widen(image).resize(target, Image.Resampling.BICUBIC, reducing_gap=frames.REDUCING_GAP)
    banded = frames._resize_in_bands(image, target, None)
    assert banded.mode == whole.mode
    assert np.array_equal(np.asarray(banded), np.asarray(whole))


def test_a_small_picture_is_not_touched_by_it() -> None:
    """At its own size no pixel changes, however transparent."""
    image = noise("RGBA", (96, 32))
    file = encoded(image, "PNG")
    grounds = (Image.new("RGB", image.size, ground) for ground in ("white", "black"))
    expected = (Image.composite(to_srgb(image, None), ground, image.getchannel("A")).tobytes() for ground in grounds)
    assert decode(file, multiple_of=32).pixels == tuple(expected)
