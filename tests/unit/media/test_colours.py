"""Every colour mode comes out as the sRGB that a person would see, on a white ground where it is transparent."""

import numpy as np
import pytest
from PIL import Image

from service.core.pixels import RgbPixels
from tests.unit.media.decoding import decode, frames, middle, picture
from tests.unit.media.image_files import (
    BLUE,
    RED,
    WHITE,
    bmp_rle8,
    encoded,
    gradient,
    plain,
    png,
    samples_16,
    swapped_profile,
)

GROUND = [255, 255, 255]


def on_white(data: bytes, **changed: int) -> RgbPixels:
    """Return the first picture: that on white, where there are several."""
    return frames(data, **changed)[0]


def on_ground(colour: tuple[int, int, int], alpha: int) -> list[float]:
    return [sample * alpha / 255 + 255 * (255 - alpha) / 255 for sample in colour]


@pytest.mark.parametrize(("file_format", "options"), [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True})])
def test_lossless_rgb_is_exact(file_format: str, options: dict[str, bool]) -> None:
    image = gradient()
    assert np.array_equal(picture(encoded(image, file_format, **options)), np.asarray(image))


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "AVIF"])
def test_lossy_rgb_is_close(file_format: str) -> None:
    image = gradient()
    pixels = picture(encoded(image, file_format, quality=95)).astype(int)
    assert np.abs(pixels - np.asarray(image)).mean() < 3


def test_palette_colours_are_looked_up() -> None:
    image = gradient().quantize(16)
    expected = np.asarray(image.convert("RGB"))
    for file_format in ("PNG", "GIF", "BMP"):
        assert np.array_equal(picture(encoded(image, file_format)), expected), file_format


def test_grey_and_one_bit_become_three_equal_channels() -> None:
    grey = Image.linear_gradient("L").resize((48, 32))
    bits = grey.convert("1")
    for file_format in ("PNG", "BMP"):
        assert np.array_equal(picture(encoded(grey, file_format)), np.asarray(grey.convert("RGB")))
        assert np.array_equal(picture(encoded(bits, file_format)), np.asarray(bits.convert("RGB")))
    assert middle(picture(encoded(Image.new("L", (16, 16), 77), "JPEG"))) == [77, 77, 77]


@pytest.mark.parametrize("alpha", [0, 64, 200, 255])
@pytest.mark.parametrize(
    ("file_format", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("AVIF", {"quality": 100})]
)
def test_transparent_colours_lie_on_white(file_format: str, options: dict[str, object], alpha: int) -> None:
    data = encoded(Image.new("RGBA", (32, 24), (*RED, alpha)), file_format, **options)
    assert middle(on_white(data)) == pytest.approx(on_ground(RED, alpha), abs=3)


def test_transparent_grey_lies_on_white() -> None:
    data = encoded(Image.new("LA", (8, 8), (90, 100)), "PNG")
    assert middle(on_white(data)) == pytest.approx(on_ground((90, 90, 90), 100), abs=1)


def test_hidden_colours_do_not_bleed_when_resized() -> None:
    image = Image.new("RGBA", (64, 64), (*BLUE, 0))
    image.paste((*RED, 255), (0, 0, 32, 64))
    pixels = on_white(encoded(image, "PNG"), target_pixels=16 * 16)
    assert (pixels[:, :, 2].astype(int) - pixels[:, :, 1]).max() <= 1, "blue is invisible, so none may show"


@pytest.mark.parametrize("file_format", ["PNG", "GIF"])
def test_a_palette_with_a_transparent_entry_lies_on_white(file_format: str) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([*RED, *BLUE])
    image.paste(0, (0, 0, 4, 8))
    pixels = on_white(encoded(image, file_format, transparency=1))
    assert pixels[4, 1].tolist() == list(RED)
    assert pixels[4, 6].tolist() == GROUND


def test_a_palette_with_an_alpha_for_each_entry() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([*RED, *BLUE])
    data = encoded(image, "PNG", transparency=bytes([255, 100]))
    assert middle(on_white(data)) == pytest.approx(on_ground(BLUE, 100), abs=1)


def test_one_colour_declared_transparent() -> None:
    row = bytes(RED) + bytes(BLUE)
    data = png((2, 1), bits=8, colour_type=2, rows=[row], extra=[(b"tRNS", samples_16(*BLUE))])
    assert on_white(data)[0].tolist() == [list(RED), GROUND]


class TestSixteenBits:
    VALUES = (0, 128, 129, 257, 0x8000, 40_000, 0xFFFE, 0xFFFF)

    def test_the_upper_byte_of_grey_is_taken_as_browsers_do(self) -> None:
        data = png((8, 1), bits=16, colour_type=0, rows=[samples_16(*self.VALUES)])
        expected = [value >> 8 for value in self.VALUES]
        assert picture(data)[0, :, 0].tolist() == expected == [0, 0, 0, 1, 128, 156, 255, 255]

    def test_rgb(self) -> None:
        data = png((1, 1), bits=16, colour_type=2, rows=[samples_16(0x1234, 0x8000, 0xFFFF)])
        assert middle(picture(data)) == pytest.approx([0x12, 0x80, 0xFF], abs=1)

    def test_grey_with_alpha(self) -> None:
        data = png((1, 1), bits=16, colour_type=4, rows=[samples_16(40_000, 0x4000)])
        assert middle(on_white(data)) == pytest.approx(on_ground((156, 156, 156), 64), abs=1)

    def test_rgb_with_alpha(self) -> None:
        data = png((1, 1), bits=16, colour_type=6, rows=[samples_16(0xFFFF, 0, 0, 0x4000)])
        assert middle(on_white(data)) == pytest.approx(on_ground(RED, 64), abs=1)

    def test_one_grey_declared_transparent(self) -> None:
        data = png(
            (2, 1), bits=16, colour_type=0, rows=[samples_16(40_000, 500)], extra=[(b"tRNS", samples_16(40_000))]
        )
        assert on_white(data)[0].tolist() == [GROUND, [1, 1, 1]]

    def test_one_colour_declared_transparent(self) -> None:
        row = samples_16(0xFF12, 100, 0, 0, 0, 0xFFFF)
        data = png((2, 1), bits=16, colour_type=2, rows=[row], extra=[(b"tRNS", samples_16(0xFF12, 100, 0))])
        assert on_white(data)[0].tolist() == [GROUND, list(BLUE)]


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits_of_grey_are_spread_over_the_range(bits: int) -> None:
    data = png((1, 1), bits=bits, colour_type=0, rows=[bytes([0xFF])])
    assert middle(picture(data)) == list(WHITE)


class TestCmykJpeg:
    """Adobe's programs store the inverse of the inks, and everyone follows them."""

    INKS = (200, 100, 30, 60)

    def jpeg(self) -> bytes:
        return encoded(Image.new("CMYK", (32, 32), self.INKS), "JPEG", quality=100, subsampling=0)

    def test_cmyk(self) -> None:
        cyan, magenta, yellow, black = self.INKS
        expected = [(255 - ink) * (255 - black) / 255 for ink in (cyan, magenta, yellow)]
        assert middle(picture(self.jpeg())) == pytest.approx(expected, abs=4)

    def test_ycck(self) -> None:
        """The same samples, declared as YCCK in the Adobe marker: 255 - ink are then Y, Cb, Cr and inverse black."""
        data = self.jpeg()
        marker = data.index(b"Adobe")
        ycck = data[: marker + 11] + b"\x02" + data[marker + 12 :]
        luma, blueness, redness, light = (255 - ink for ink in self.INKS)
        rgb = (
            luma + 1.402 * (redness - 128),
            luma - 0.344136 * (blueness - 128) - 0.714136 * (redness - 128),
            luma + 1.772 * (blueness - 128),
        )
        # YCCK turns to the inverse of CMY, of which the stored form is the inverse again: inks = YCC's own RGB.
        inks = [255 - min(255, max(0, sample)) for sample in rgb]
        expected = [ink * light / 255 for ink in inks]
        assert middle(picture(ycck)) == pytest.approx(expected, abs=5)


class TestProfiles:
    def test_colours_are_brought_to_srgb(self) -> None:
        for file_format in ("PNG", "JPEG", "WEBP", "AVIF"):
            options = {"quality": 100} if file_format != "PNG" else {}
            image = decode(encoded(plain(RED), file_format, icc_profile=swapped_profile(), **options))
            assert list(image.pixels[0][:3]) == pytest.approx(BLUE, abs=6), file_format
            assert not image.profile_ignored

    def test_colours_are_managed_before_they_are_laid_on_the_ground(self) -> None:
        data = encoded(Image.new("RGBA", (8, 8), (*RED, 100)), "PNG", icc_profile=swapped_profile())
        declared, _, plain, _ = frames(data)
        assert [(view.colours, view.ground) for view in decode(data).views] == [
            *(("declared", "light"), ("declared", "dark")),
            *(("plain", "light"), ("plain", "dark")),
        ]
        assert middle(declared) == pytest.approx(on_ground(BLUE, 100), abs=2)
        assert middle(plain) == pytest.approx(on_ground(RED, 100), abs=2)

    @pytest.mark.parametrize("profile", [b"no profile", swapped_profile()[:200], bytes(600)])
    def test_a_broken_profile_is_ignored(self, profile: bytes) -> None:
        image = decode(encoded(plain(RED), "PNG", icc_profile=profile))
        assert list(image.pixels[0][:3]) == list(RED)
        assert image.profile_ignored

    def test_a_profile_for_other_colours_is_ignored(self) -> None:
        inks = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
        image = decode(encoded(inks, "JPEG", quality=100, icc_profile=swapped_profile()))
        assert list(image.pixels[0][:3]) == pytest.approx(RED, abs=2)
        assert image.profile_ignored

    def test_a_huge_profile_is_ignored(self) -> None:
        image = decode(encoded(plain(RED), "JPEG", icc_profile=swapped_profile() + bytes(5_000_000)))
        assert image.profile_ignored


def test_run_length_encoded_bmp() -> None:
    data = bmp_rle8((4, 2), b"\x04\x00\x00\x00\x04\x01\x00\x01")
    # Rows are stored from the bottom.
    assert picture(data)[:, 0].tolist() == [list(BLUE), list(RED)]
