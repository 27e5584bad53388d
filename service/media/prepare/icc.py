"""Makes ICC profiles of the colours that a file declares by numbers, so that one conversion serves all declarations.

A profile is three points in the space of all colours, its *primaries*, and one tone curve. Browsers take the numbers
of ITU-T H.273 (CICP) as these tables have them; the curves of the two HDR transfers include their tone mapping.
"""

import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache

Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x and y of white, red, green and blue, as PNG's cHRM has them."""

Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

_D65, _C, _E, _THEATRE = (0.3127, 0.3290), (0.310, 0.316), (1 / 3, 1 / 3), (0.314, 0.351)

SRGB: Chromaticities = (*_D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060)

PRIMARIES: Mapping[int, Chromaticities] = {
    1: SRGB,
    4: (*_C, 0.670, 0.330, 0.210, 0.710, 0.140, 0.080),
    5: (*_D65, 0.640, 0.330, 0.290, 0.600, 0.150, 0.060),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    10: (*_E, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    11: (*_THEATRE, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
"""By the number of the colour primaries; browsers ignore declarations with others."""

SRGB_COLORANTS: Matrix = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
"""XYZ of sRGB's red, green and blue under D50."""

PQ, HLG = 16, 18

# What a television makes of its signal (BT.1886), not the inverse of what a camera does.
_BROADCAST = (2.4,)

# Gamma, a, b, c and d: (a x + b) ^ gamma from d on, c x below. Or gamma alone.
_PARAMETERS: Mapping[int, Sequence[float]] = {
    1: _BROADCAST,
    4: (2.2,),
    5: (2.8,),
    6: _BROADCAST,
    7: (1 / 0.45, 1 / 1.111572, 0.111572 / 1.111572, 1 / 4.0, 0.091286),
    8: (1.0,),
    11: _BROADCAST,
    13: (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    14: _BROADCAST,
    15: _BROADCAST,
    17: (2.6, 1.034081, 0.0, 0.0, 0.0),
}

# sRGB's value of each sixteenth grey, from 0 to 255, as Chromium 156 shows it on a screen without HDR.
_SHOWN: Mapping[int, Sequence[int]] = {
    PQ: (0, 1, 5, 15, 30, 48, 70, 98, 132, 175, 213, 237, 255, 255, 255, 255, 255),
    HLG: (0, 3, 14, 29, 43, 57, 71, 85, 99, 115, 135, 160, 189, 212, 228, 243, 255),
}

TRANSFERS = frozenset({*_PARAMETERS, *_SHOWN})
"""Numbers of the transfer characteristics that browsers know; they ignore declarations with others."""

# s15Fixed16, ICC's numbers.
_ONE = 65536
_LARGEST, _SMALLEST = 0x7FFFFFFF, -0x80000000

_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD: Matrix = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))

# Little CMS refuses larger ones, and they make no difference: 254 of 255 becomes 0 at 1500 already.
_MOST_GAMMA, _LEAST_GAMMA = 10_000.0, 0.0001


@lru_cache(maxsize=64)
def cicp_profile(primaries: int, transfer: int) -> bytes | None:
    """Return the profile of two CICP numbers; None if browsers do not know one of them."""
    if primaries not in PRIMARIES or transfer not in TRANSFERS:
        return None
    curve = _sampled(_SHOWN[transfer]) if transfer in _SHOWN else _parametric(_PARAMETERS[transfer])
    return _profile(PRIMARIES[primaries], curve)


@lru_cache(maxsize=64)
def gamma_profile(gamma: float, chromaticities: Chromaticities = SRGB) -> bytes | None:
    """Return the profile of a tone curve that is a power of the samples; None for primaries that span no space."""
    return _profile(chromaticities, _parametric((min(max(gamma, _LEAST_GAMMA), _MOST_GAMMA),)))


def _profile(chromaticities: Chromaticities, curve: bytes) -> bytes | None:
    colorants = _colorants(chromaticities)
    return None if colorants is None else matrix_profile(colorants, (curve, curve, curve))


def matrix_profile(colorants: Matrix, curves: Sequence[bytes]) -> bytes:
    """Return the profile of XYZ of red, green and blue under D50 and of their three tone curves, given as tags."""
    tags = [(b"wtpt", _xyz(_D50)), (b"cprt", _COPYRIGHT), (b"desc", _DESCRIPTION)]
    tags += [(name, _xyz(column)) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants, strict=True)]
    tags += zip((b"rTRC", b"gTRC", b"bTRC"), curves, strict=True)
    table, bodies = b"", b""
    for name, body in tags:
        table += name + struct.pack(">II", _HEADER_BYTES + 4 + 12 * len(tags) + len(bodies), len(body))
        bodies += body.ljust(len(body) + 3 & ~3, b"\0")
    size = _HEADER_BYTES + 4 + len(table) + len(bodies)
    return _header(size) + struct.pack(">I", len(tags)) + table + bodies


_HEADER_BYTES = 128


def _header(size: int) -> bytes:
    """Return version 4.3's header of a display's profile with XYZ as its connection space."""
    start = struct.pack(">I4sI4s4s4s12x4s", size, b"\0" * 4, 0x04300000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    return (start.ljust(68, b"\0") + _numbers(_D50)).ljust(_HEADER_BYTES, b"\0")


def _text(text: str) -> bytes:
    """Return a tag of one text in English."""
    return struct.pack(">4sIII2s2sII", b"mluc", 0, 1, 12, b"en", b"US", 2 * len(text), 28) + text.encode("utf-16-be")


_COPYRIGHT, _DESCRIPTION = _text("none"), _text("declared by the file")


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + _numbers(values)


def _parametric(parameters: Sequence[float]) -> bytes:
    """Return a curve of type 0, which is a power, or 3."""
    kind = 0 if len(parameters) == 1 else 3
    return struct.pack(">4sIHH", b"para", 0, kind, 0) + _numbers(parameters)


def _sampled(shown: Sequence[int]) -> bytes:
    """Return a curve of samples that leads to these values of sRGB: 256, for they are joined by straight lines."""
    linear = [_linear(_between(shown, place / 255) / 255) for place in range(256)]
    return struct.pack(">4sII256H", b"curv", 0, 256, *(round(65535 * value) for value in linear))


def _between(values: Sequence[int], share: float) -> float:
    place = share * (len(values) - 1)
    left = min(int(place), len(values) - 2)
    return values[left] + (place - left) * (values[left + 1] - values[left])


def _linear(value: float) -> float:
    gamma, scale, offset, slope, limit = _PARAMETERS[13]
    return float((scale * value + offset) ** gamma) if value >= limit else slope * value


def _numbers(values: Sequence[float]) -> bytes:
    whole = [min(max(round(value * _ONE), _SMALLEST), _LARGEST) for value in values]
    return struct.pack(f">{len(whole)}i", *whole)


def _colorants(chromaticities: Chromaticities) -> Matrix | None:
    """Return XYZ of red, green and blue, their white adapted to D50 by Bradford's method; None if they span nothing."""
    white, *points = ((x, y, 1 - x - y) for x, y in zip(chromaticities[::2], chromaticities[1::2], strict=True))
    inverse = _inverse(_columns(points))
    if inverse is None or white[1] <= 0:
        return None
    white_xyz = tuple(value / white[1] for value in white)
    amounts = _times(inverse, white_xyz)
    adaptation = _adaptation(white_xyz)
    if adaptation is None:
        return None
    red, green, blue = (
        _times(adaptation, [value * amount for value in point]) for point, amount in zip(points, amounts, strict=True)
    )
    return red, green, blue


def _adaptation(white: Sequence[float]) -> Matrix | None:
    """Return what brings colours under a white to D50."""
    cones = _times(_BRADFORD, white)
    back = _inverse(_BRADFORD)
    if back is None or 0 in cones:
        return None
    gains = [wanted / given for wanted, given in zip(_times(_BRADFORD, _D50), cones, strict=True)]
    columns = [
        _times(back, [row[place] * gain for row, gain in zip(_BRADFORD, gains, strict=True)]) for place in range(3)
    ]
    return _columns(columns)


def _columns(columns: Sequence[Sequence[float]]) -> Matrix:
    first, second, third = zip(*columns, strict=True)
    return first, second, third


def _times(matrix: Matrix, column: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = (sum(a * b for a, b in zip(row, column, strict=True)) for row in matrix)
    return x, y, z


def _inverse(matrix: Matrix) -> Matrix | None:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    if abs(determinant) < 1e-9:  # noqa: PLR2004 - three points on one line, by the precision of cHRM
        return None
    rows = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    first, second, third = ((x / determinant, y / determinant, z / determinant) for x, y, z in rows)
    return first, second, third
