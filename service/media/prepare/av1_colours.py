"""The colours that an AV1 picture itself declares, in its sequence header, which count where its file declares none.

The order of the bits is that of the AV1 Bitstream Specification, 5.5.
"""

from service.media.prepare.isobmff import Colours

_SEQUENCE_HEADER = 1
# In front of it encoders write one delimiter of two bytes.
_MOST_UNITS, _MOST_HEADER_BYTES = 8, 256
_RESERVED_PROFILE = 2
_TIER_FROM = 7
_CHOSEN_BY_FRAME = 2


class _Bits:
    """Reads numbers from the first bit on; beyond the end there are zeros."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data), 8 * len(data)

    def read(self, count: int) -> int:
        """Return the next bits as a number."""
        self._left -= count
        shifted = self._value >> self._left if self._left >= 0 else 0
        return shifted & ((1 << count) - 1)

    def skip_variable(self) -> None:
        """Skip a number that as many zeros precede as it has bits behind its first."""
        zeros = 0
        while self._left > 0 and not self.read(1):
            zeros += 1
        self.read(zeros)


def av1_colours(data: bytes) -> Colours | None:
    """Return the colours by numbers of the first sequence header in these units; None where there is none."""
    at = 0
    for _ in range(_MOST_UNITS):
        header = data[at : at + 1]
        if not header or not header[0] & 2:  # without its size, a unit has no end
            return None
        kind, at = header[0] >> 3 & 15, at + 1 + (header[0] >> 2 & 1)
        size = shift = 0
        for byte in data[at : at + 8]:
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        if kind == _SEQUENCE_HEADER:
            return _sequence_colours(_Bits(data[at : at + min(size, _MOST_HEADER_BYTES)]))
        at += size
    return None


def _sequence_colours(bits: _Bits) -> Colours | None:
    profile, _, is_reduced = bits.read(3), bits.read(1), bits.read(1)
    if is_reduced:
        bits.read(5)
    else:
        _skip_operating_points(bits)
    across, down = 1 + bits.read(4), 1 + bits.read(4)
    bits.read(across)
    bits.read(down)
    if not is_reduced and bits.read(1):
        bits.read(7)  # frame numbers
    bits.read(3)
    if not is_reduced:
        _skip_tools(bits)
    bits.read(3)
    has_more_bits = bits.read(1)
    if profile == _RESERVED_PROFILE and has_more_bits:
        bits.read(1)
    if profile != 1:
        bits.read(1)  # without colours
    return Colours(bits.read(8), bits.read(8)) if bits.read(1) else None


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits = 0
    if bits.read(1):  # timing
        bits.read(64)
        if bits.read(1):
            bits.skip_variable()
        if bits.read(1):  # a model of the decoder
            delay_bits = 1 + bits.read(5)
            bits.read(32 + 5 + 5)
    has_display_delay = bits.read(1)
    for _ in range(1 + bits.read(5)):
        bits.read(12)
        if bits.read(5) > _TIER_FROM:
            bits.read(1)
        if delay_bits and bits.read(1):
            bits.read(2 * delay_bits + 1)
        if has_display_delay and bits.read(1):
            bits.read(4)


def _skip_tools(bits: _Bits) -> None:
    bits.read(4)
    has_order = bits.read(1)
    if has_order:
        bits.read(2)
    screen_content = _CHOSEN_BY_FRAME if bits.read(1) else bits.read(1)
    if screen_content and not bits.read(1):
        bits.read(1)
    if has_order:
        bits.read(3)
