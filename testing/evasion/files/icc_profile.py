"""Small ICC profiles: three primaries or grey, with a power as tone curve."""

import struct
from collections.abc import Mapping, Sequence

Xyz = tuple[float, float, float]

SRGB_PRIMARIES: Sequence[Xyz] = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
SWAPPED_PRIMARIES = SRGB_PRIMARIES[::-1]
WIDE_PRIMARIES: Sequence[Xyz] = ((0.6734, 0.2790, -0.0019), (0.1656, 0.6753, 0.0299), (0.1251, 0.0456, 0.7969))
WHITE: Xyz = (0.9642, 1.0, 0.8249)


def rgb_profile(power: float = 2.2, primaries: Sequence[Xyz] = SRGB_PRIMARIES, *, padding: int = 0) -> bytes:
    """Return a display profile of the second version."""
    colours = {name: _xyz(value) for name, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)}
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(power))
    return _profile(b"RGB ", colours | curves, padding)


def grey_profile(power: float = 2.2) -> bytes:
    """Return a profile of one tone curve."""
    return _profile(b"GRAY", {b"kTRC": _curve(power)}, 0)


def _profile(space: bytes, tags: Mapping[bytes, bytes], padding: int) -> bytes:
    common = {b"desc": _description(), b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(WHITE)}
    if padding:
        common[b"pad "] = b"data\0\0\0\0" + bytes(padding)
    every = common | dict(tags)
    at, index, bodies = 128 + 4 + 12 * len(every), b"", b""
    for name, body in every.items():
        padded = body + bytes(-len(body) % 4)
        index += name + struct.pack(">II", at + len(bodies), len(body))
        bodies += padded
    total = at + len(bodies)
    head = struct.pack(">I4sI4s4s4s", total, b"test", 0x02400000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H4s4sI4s4sQI", 2026, 1, 1, 0, 0, 0, b"acsp", b"\0\0\0\0", 0, b"\0\0\0\0", b"\0\0\0\0", 0, 0)
    head += b"".join(struct.pack(">i", round(value * 65536)) for value in WHITE)
    return head.ljust(128, b"\0") + struct.pack(">I", len(every)) + index + bodies


def _curve(power: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(power * 256))


def _xyz(value: Xyz) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(each * 65536)) for each in value)


def _description() -> bytes:
    text = b"made by tests\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(4 + 4 + 2 + 1 + 67)
