"""The colours that a PNG file declares, by the precedence of browsers: cICP, iCCP, sRGB, then gAMA with cHRM."""

import struct
import zlib
from dataclasses import dataclass, field

from service.media.prepare.icc import HLG, PQ, SRGB, Chromaticities, cicp_profile, gamma_profile
from service.media.prepare.png_chunks import Chunk
from service.media.profiles import MAX_PROFILE_BYTES, is_plausible

_BYTES = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}
KINDS = frozenset({*_BYTES, b"iCCP"})

# Stands for a profile that is too large.
_UNUSABLE = b"unusable"

_LAST_INTENT = 3
_LONGEST_NAME = 79

# gAMA and cHRM are whole numbers of hundred thousandths.
_UNIT = 100_000

# The power of samples that browsers take for sRGB's curve if nothing but gAMA says so, give or take a twentieth.
_NEUTRAL, _NEAR = 2.2, 0.05


@dataclass(slots=True)
class Declarations:
    """What the colour chunks in front of the pixels say together."""

    bodies: dict[bytes, bytes] = field(default_factory=dict)
    """By kind: the first valid chunk."""
    ambiguous: set[str] = field(default_factory=set)

    def read(self, chunk: Chunk, *, is_behind_palette: bool) -> None:
        """Take note of a colour chunk; all but the first valid one of a kind are ignored."""
        body = bytes(chunk.body)
        is_late = is_behind_palette and chunk.kind == b"cICP"
        is_valid = chunk.is_sound and not is_late and _is_valid(chunk.kind, body)
        if not is_valid or self.bodies.setdefault(chunk.kind, body) != body:
            self.ambiguous.add("colour_declaration")

    def profile(self) -> bytes | None:
        """Return one profile for all declarations; None if they mean sRGB or nothing."""
        if profile := self._by_numbers():
            return profile
        embedded = self._embedded()
        if embedded and (embedded == _UNUSABLE or is_plausible(embedded)):
            return embedded
        # An embedded profile that cannot be used is passed on if nothing else is declared, so that it is reported.
        return embedded if b"sRGB" in self.bodies else self._by_gamma() or embedded

    def _by_numbers(self) -> bytes | None:
        if b"cICP" not in self.bodies:
            return None
        primaries, transfer, matrix, is_full = self.bodies[b"cICP"]
        if matrix or is_full != 1:
            self.ambiguous.add("colour_declaration")
            return None
        if transfer in {PQ, HLG}:
            self.ambiguous.add("colour_declaration")
        return cicp_profile(primaries, transfer)

    def _embedded(self) -> bytes | None:
        name, _, rest = self.bodies.get(b"iCCP", b"").partition(b"\0")
        if not 0 < len(name) <= _LONGEST_NAME or rest[:1] != b"\0":
            return None
        unpacking = zlib.decompressobj()
        try:
            profile = unpacking.decompress(rest[1:], MAX_PROFILE_BYTES + 1)
        except zlib.error:
            profile = b""
        if len(profile) > MAX_PROFILE_BYTES:
            self.ambiguous.add("colour_profile")
            return _UNUSABLE
        if not unpacking.eof:
            self.ambiguous.add("colour_profile")
            return None
        return profile

    def _by_gamma(self) -> bytes | None:
        if b"gAMA" not in self.bodies:
            return None
        power = _UNIT / int.from_bytes(self.bodies[b"gAMA"])
        if b"cHRM" in self.bodies:
            return gamma_profile(power, _chromaticities(self.bodies[b"cHRM"]))
        return None if abs(_NEUTRAL / power - 1) < _NEAR else gamma_profile(power, SRGB)


def _is_valid(kind: bytes, body: bytes) -> bool:
    if kind == b"iCCP":
        return True
    if len(body) != _BYTES[kind]:
        return False
    if kind == b"sRGB":
        return body[0] <= _LAST_INTENT
    return kind != b"gAMA" or any(body)


def _chromaticities(body: bytes) -> Chromaticities:
    white_x, white_y, *points = (value / _UNIT for value in struct.unpack(">8I", body))
    red_x, red_y, green_x, green_y, blue_x, blue_y = points
    return white_x, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y
