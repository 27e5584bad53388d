"""Embedded ICC profiles are read as browsers read them, which is not always as Little CMS does."""

import struct
from collections.abc import Mapping

import numpy as np
import pytest
from PIL import Image

from service.media.prepare.embedded_profile import UnusableError, embedded_profile
from service.media.prepare.icc import cicp_profile
from testing.evasion.files.icc_profile import grey_profile, rgb_profile
from tests.unit.media.decoding import decode, picture
from tests.unit.media.image_files import encoded

FAINT = Image.linear_gradient("L").point([215 + value * 40 // 255 for value in range(256)])
"""Greys that a steep curve spreads over the whole range."""
STEEP = 20.0


def with_tags(profile: bytes, extra: Mapping[bytes, bytes]) -> bytes:
    """Return a profile with more tags behind its own ones."""
    count, added = int.from_bytes(profile[128:132]), 12 * len(extra)
    table, at = bytearray(profile[132 : 132 + 12 * count]), len(profile) + added
    for place in range(4, len(table), 12):
        table[place : place + 4] = struct.pack(">I", int.from_bytes(table[place : place + 4]) + added)
    bodies = b""
    for name, body in extra.items():
        table += name + struct.pack(">II", at + len(bodies), len(body))
        bodies += body
    head = struct.pack(">I", at + len(bodies)) + profile[4:128] + struct.pack(">I", count + len(extra))
    return head + bytes(table) + profile[132 + 12 * count :] + bodies


def changed(profile: bytes, at: int, value: bytes) -> bytes:
    return profile[:at] + value + profile[at + len(value) :]


CURVE_OF_ONE = b"curv\0\0\0\0" + struct.pack(">IH", 1, 256)
USED = {
    "as usual": grey_profile(STEEP),
    "of a link": changed(grey_profile(STEEP), 12, b"link"),
    "of named colours": changed(grey_profile(STEEP), 12, b"nmcl"),
    "with its curve twice": with_tags(grey_profile(STEEP), {b"kTRC": CURVE_OF_ONE}),
    "with many tags": with_tags(grey_profile(STEEP), {b"t%03d" % number: bytes(8) for number in range(120)}),
    "with many steps": with_tags(grey_profile(STEEP), {b"none": b"matf" * 70}),
    "with a table for floating point": with_tags(rgb_profile(STEEP), {b"D2B0": b"mpet" + bytes(40)}),
}


@pytest.mark.parametrize("profile", USED.values(), ids=USED)
def test_profiles_that_browsers_use_are_used(profile: bytes) -> None:
    data = encoded(FAINT, "JPEG", icc_profile=profile)
    greys = picture(data)
    assert decode(data).ambiguous == ()
    assert greys.max() - greys.min() > 180


IGNORED = {
    "of the fifth version": changed(grey_profile(STEEP), 8, b"\x05"),
    "of greys in Lab": changed(grey_profile(STEEP), 20, b"Lab "),
    "with a curve that falls": grey_profile(STEEP).replace(
        b"curv\0\0\0\0" + struct.pack(">IH", 1, round(STEEP * 256)), b"para" + bytes(8) + b"\xff\xfe\0\0"[:2]
    ),
    "of high dynamic range": with_tags(grey_profile(STEEP), {b"cicp": b"cicp\0\0\0\0\x01\x10\0\x01"}),
}


@pytest.mark.parametrize("profile", IGNORED.values(), ids=IGNORED)
def test_greys_with_a_profile_that_viewers_may_read_differently_are_ambiguous(profile: bytes) -> None:
    assert decode(encoded(FAINT, "JPEG", icc_profile=profile)).ambiguous == ("colour_profile",)


def test_numbers_in_a_profile_count_before_its_curves() -> None:
    profile = with_tags(rgb_profile(2.2), {b"cicp": b"cicp\0\0\0\0\x09\x08\0\x01"})
    assert embedded_profile(profile, "RGB") == cicp_profile(9, 8)


@pytest.mark.parametrize("body", [b"", b"curv\0\0\0\0\0\0\0\x09\0\0", b"para\0\0\0\0\0\x07\0\0", b"data" + bytes(20)])
def test_a_curve_that_cannot_be_read_makes_a_profile_unusable(body: bytes) -> None:
    profile = with_tags(changed(grey_profile(), grey_profile().index(b"kTRC"), b"none"), {b"kTRC": body})
    with pytest.raises(UnusableError):
        embedded_profile(profile, "L")


def test_colours_change_by_a_profile_written_anew_as_by_its_original() -> None:
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8))
    data = encoded(image, "PNG", icc_profile=rgb_profile(1.8))
    linear = (np.asarray(image) / 255) ** 1.8
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    assert np.abs(picture(data) - expected).max() < 3
