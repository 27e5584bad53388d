"""Colours declared by numbers are shown as browsers show them, and without the declaration if that looks different.

The expected values were read in Chromium 156.
"""

import zlib
from collections.abc import Sequence

import numpy as np
import pytest

from service.core.pixels import RgbPixels
from service.media.prepare.icc import cicp_profile, gamma_profile
from tests.unit.media.decoding import decode, frames
from tests.unit.media.image_files import encoded, gradient, samples_16, swapped_profile
from tests.unit.media.png_files import END, Part, cicp, gama, header, iccp, png_of, wrong_checksum

GREYS = (0, 32, 64, 96, 128, 160, 192, 224, 255)
COLOUR = (200, 100, 50)

P3 = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


def chrm(values: Sequence[int]) -> Part:
    return b"cHRM", b"".join(value.to_bytes(4) for value in values)


def ramp(*parts: Part) -> bytes:
    row = b"".join(bytes((grey,) * 3) for grey in GREYS) + bytes(COLOUR)
    return png_of(header((len(GREYS) + 1, 1)), *parts, (b"IDAT", zlib.compress(b"\0" + row)), END)


def shown(data: bytes) -> tuple[list[int], list[int]]:
    """Return the greys and the colour of the first view."""
    row: RgbPixels = frames(data)[0][0]
    return [int(grey) for grey in row[:-1, 1]], [int(sample) for sample in row[-1]]


@pytest.mark.parametrize(
    ("parts", "greys", "colour"),
    [
        ([], GREYS, COLOUR),
        ([gama(45455)], GREYS, COLOUR),
        ([gama(43200)], GREYS, COLOUR),
        ([gama(43000)], (0, 22, 56, 90, 124, 157, 190, 223, 255), (199, 95, 41)),
        ([gama(2000)], (0, 0, 0, 0, 0, 0, 0, 5, 255), (0, 0, 0)),
        ([gama(100_000)], (0, 99, 137, 165, 188, 208, 225, 241, 255), (229, 168, 122)),
        ([gama(1)], (0, 0, 0, 0, 0, 0, 0, 0, 255), (0, 0, 0)),
        ([gama(45455), chrm(P3)], (0, 26, 62, 96, 129, 161, 193, 225, 255), (216, 93, 24)),
        ([chrm(P3)], GREYS, COLOUR),
        ([(b"sRGB", b"\0"), gama(2000)], GREYS, COLOUR),
        ([iccp(swapped_profile())], GREYS, COLOUR[::-1]),
        ([iccp(swapped_profile()), (b"sRGB", b"\0")], GREYS, COLOUR[::-1]),
        ([iccp(b"junk"), gama(2000)], (0, 0, 0, 0, 0, 0, 0, 5, 255), (0, 0, 0)),
        ([cicp(12, 13), iccp(swapped_profile())], GREYS, (215, 93, 31)),
        ([cicp(12, 13, full_range=0), iccp(swapped_profile())], GREYS, COLOUR[::-1]),
        ([cicp(1, 1)], (0, 20, 54, 87, 121, 155, 189, 222, 255), (197, 91, 39)),
        ([cicp(1, 5)], (0, 10, 40, 72, 106, 142, 179, 217, 255), (189, 76, 26)),
        ([cicp(9, 13)], GREYS, (241, 76, 29)),
        ([cicp(10, 13)], GREYS, (255, 0, 61)),
        ([cicp(1, 16)], (0, 5, 30, 70, 132, 213, 255, 255, 255), (255, 78, 17)),
        ([cicp(1, 18)], (0, 14, 43, 71, 99, 135, 189, 228, 255), (202, 75, 31)),
        ([cicp(23, 13)], GREYS, COLOUR),
        ([gama(2000), gama(45455)], (0, 0, 0, 0, 0, 0, 0, 5, 255), (0, 0, 0)),
        ([gama(0), gama(2000)], (0, 0, 0, 0, 0, 0, 0, 5, 255), (0, 0, 0)),
        ([wrong_checksum(gama(45455)), gama(2000)], (0, 0, 0, 0, 0, 0, 0, 5, 255), (0, 0, 0)),
        ([gama(45455), chrm([0] * 8)], GREYS, COLOUR),
    ],
)
def test_colours_are_shown_as_declared(parts: list[Part], greys: tuple[int, ...], colour: tuple[int, ...]) -> None:
    found_greys, found_colour = shown(ramp(*parts))
    assert found_greys == pytest.approx(greys, abs=1)
    assert found_colour == pytest.approx(colour, abs=1)


def test_declarations_apply_to_greys() -> None:
    row = zlib.compress(b"\0" + bytes(GREYS))
    for part in (cicp(1, 8), iccp(cicp_profile(1, 8) or b"")):
        grey = png_of(header((len(GREYS), 1), colour_type=0), part, (b"IDAT", row), END)
        curved = frames(grey)[0][0, :, 0]
        assert curved.tolist() == pytest.approx([0, 99, 137, 165, 188, 208, 225, 241, 255], abs=1)


def test_a_steep_curve_is_applied_before_pixels_are_averaged() -> None:
    """Every second pixel is black after the curve: averaged before it, both pictures would be black."""
    row = bytes((255,) * 3 + (236,) * 3) * 32
    data = png_of(header((64, 64)), gama(2000), (b"IDAT", zlib.compress((b"\0" + row) * 64)), END)
    declared, plain = frames(data, target_pixels=16 * 16)
    assert declared.mean() == pytest.approx((255 + 18) / 2, abs=12)
    assert plain.mean() == pytest.approx(245, abs=2)


class TestViews:
    @pytest.mark.parametrize(
        "parts",
        [
            [gama(45455)],
            [gama(45455), chrm((31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))],
            [(b"sRGB", b"\0"), gama(45455)],
            [cicp(12, 13)],
            [cicp(1, 1)],
            [iccp(cicp_profile(12, 13) or b"")],
            [iccp(gamma_profile(2.2, (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)) or b"")],
        ],
        ids=["gamma", "sRGB by numbers", "sRGB", "P3", "video", "P3 profile", "Adobe RGB profile"],
    )
    def test_honest_declarations_make_one(self, parts: list[Part]) -> None:
        rows = b"".join(b"\0" + row.tobytes() for row in np.asarray(gradient()))
        image = decode(png_of(header(gradient().size), *parts, (b"IDAT", zlib.compress(rows)), END))
        assert [view.colours for view in image.views] == [None]
        assert image.ambiguous == ()

    def test_a_declaration_that_changes_the_picture_is_judged_with_and_without(self) -> None:
        image = decode(ramp(gama(2000)))
        assert [view.colours for view in image.views] == ["declared", "plain"]

    def test_an_embedded_profile_is_no_different(self) -> None:
        for file_format in ("PNG", "JPEG", "WEBP"):
            image = decode(encoded(gradient(), file_format, icc_profile=gamma_profile(50.0)))
            assert [view.colours for view in image.views] == ["declared", "plain"], file_format


def test_deep_samples_under_a_steep_curve_are_ambiguous() -> None:
    """Browsers take the upper bytes; a viewer that takes both shows more."""
    deep = zlib.compress(b"\0" + samples_16(0xFF10, 0xFF10, 0xFF10))
    assert decode(png_of(header((1, 1), bits=16), gama(2000), (b"IDAT", deep), END)).ambiguous == (
        "colour_declaration",
    )


@pytest.mark.parametrize("part", [cicp(1, 16), cicp(9, 18), cicp(12, 13, matrix=1), cicp(12, 13, full_range=0)])
def test_what_viewers_show_by_rules_of_their_own_is_ambiguous(part: Part) -> None:
    assert decode(ramp(part)).ambiguous == ("colour_declaration",)
