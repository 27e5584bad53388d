"""An embedded ICC profile as browsers read it: three primaries and tone curves, or colours by numbers, written anew.

Little CMS refuses profiles for their version, class, or doubled tags that browsers use, prefers tables that browsers do
not read, and resamples the curve of greys. A profile with tables of colours is left as it is.
"""

import struct
from collections.abc import Mapping

from service.media.prepare.icc import HLG, PQ, SRGB_COLORANTS, cicp_profile, matrix_profile

_TAGS_AT, _TAG_BYTES, _MOST_TAGS = 128, 12, 1000
_VERSION_AT, _LAST_VERSION = 8, 4
_SPACE, _CONNECTION = slice(16, 20), slice(20, 24)
_TABLES = (b"A2B0", b"A2B1")
_RGB_CURVES, _RGB_COLORANTS = (b"rTRC", b"gTRC", b"bTRC"), (b"rXYZ", b"gXYZ", b"bXYZ")
_GREY_CURVE, _NUMBERS = b"kTRC", b"cicp"

# Of the five kinds of parametric curves, which of gamma, a, b, c and d follow each other.
_PARAMETERS = ("g", "gab", "gabc", "gabcd", "gabcdef")
_ONE = 65536

_NUMBERS_AT, _NUMBERS_END = 8, 12


class UnusableError(Exception):
    """Browsers ignore the profile."""


def embedded_profile(profile: bytes, mode: str) -> bytes:
    """Return the profile of an image of a mode as browsers read it; raises UnusableError if they ignore it.

    Raises it for high dynamic range as well, which viewers map to their screens in different ways.
    """
    tags, space = _tags(profile), profile[_SPACE]
    if profile[_VERSION_AT] > _LAST_VERSION or (space == b"GRAY" and profile[_CONNECTION] != b"XYZ "):
        raise UnusableError
    if (numbers := tags.get(_NUMBERS, b"")) and (by_numbers := _by_numbers(numbers)):
        return by_numbers
    if space == b"GRAY" and mode == "L" and _GREY_CURVE in tags:
        curve = _curve(tags[_GREY_CURVE])
        return matrix_profile(SRGB_COLORANTS, (curve, curve, curve))
    is_matrix = space == b"RGB " and {*_RGB_CURVES, *_RGB_COLORANTS} <= tags.keys()
    if not is_matrix or any(table in tags for table in _TABLES):
        return profile
    red, green, blue = (_xyz(tags[name]) for name in _RGB_COLORANTS)
    red_curve, green_curve, blue_curve = (_curve(tags[name]) for name in _RGB_CURVES)
    return matrix_profile((red, green, blue), (red_curve, green_curve, blue_curve))


def _tags(profile: bytes) -> Mapping[bytes, bytes]:
    """Return the contents of the tags; of two with one name the first counts."""
    found: dict[bytes, bytes] = {}
    count = min(int.from_bytes(profile[_TAGS_AT : _TAGS_AT + 4]), _MOST_TAGS)
    start = _TAGS_AT + 4
    table = profile[start : start + count * _TAG_BYTES]
    for name, at, length in struct.iter_unpack(">4sII", table[: len(table) // _TAG_BYTES * _TAG_BYTES]):
        found.setdefault(name, profile[at : at + length])
    return found


def _by_numbers(body: bytes) -> bytes | None:
    numbers = body[_NUMBERS_AT:_NUMBERS_END]
    if numbers[1:2] in {bytes((PQ,)), bytes((HLG,))}:
        raise UnusableError  # each viewer maps high dynamic range to its screen in its own way
    return cicp_profile(numbers[0], numbers[1]) if len(numbers) == _NUMBERS_END - _NUMBERS_AT else None


def _xyz(body: bytes) -> tuple[float, float, float]:
    if body[:4] != b"XYZ " or len(body) < 20:  # noqa: PLR2004 - a mark, four bytes, three numbers
        raise UnusableError
    x, y, z = (value / _ONE for value in struct.unpack_from(">3i", body, 8))
    return x, y, z


def _curve(body: bytes) -> bytes:
    """Return a tone curve; raises UnusableError for one that browsers refuse."""
    if body[:4] == b"curv" and len(body) >= 12:  # noqa: PLR2004 - a mark, four bytes, the number of values
        count = int.from_bytes(body[8:12])
        if len(body) >= 12 + 2 * count:
            return body[: 12 + 2 * count]
    elif body[:4] == b"para" and len(body) >= 12:  # noqa: PLR2004 - as above, with the kind
        kind = int.from_bytes(body[8:10])
        names = _PARAMETERS[kind] if kind < len(_PARAMETERS) else ""
        if names and len(body) >= 12 + 4 * len(names):
            values = struct.unpack_from(f">{len(names)}i", body, 12)
            _check(dict(zip(names, (value / _ONE for value in values), strict=True)))
            return body[: 12 + 4 * len(names)]
    raise UnusableError


def _check(values: Mapping[str, float]) -> None:
    """Raise UnusableError for a curve that falls, or that takes a power of a negative value."""
    a, b, c = values.get("a", 1.0), values.get("b", 0.0), values.get("c", 0.0)
    d = values.get("d", 0.0)
    if min(values["g"], a, d) < 0 or ("d" in values and (c < 0 or a * d + b < 0)):
        raise UnusableError
