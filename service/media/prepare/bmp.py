"""BMP as browsers read it: opacity that a header declares, colours beyond the palette, pixels that run-lengths skip."""

import struct

from service.core.ambiguity import Feature
from service.media.prepare.bmp_pixels import without_masks, without_runs_of_colours, without_two_bits
from service.media.prepare.prepared_file import PreparedFile
from service.media.structure import check_run_lengths

_OFFSET_AT, _HEADER_AT, _BITS_AT, _COMPRESSION_AT, _COLOURS_AT, _MASKS_AT = 10, 14, 28, 30, 46, 54
_WITH_ALPHA = (108, 124)
_PLAIN, _RUNS_OF_BYTES, _RUNS_OF_NIBBLES, _BY_MASKS, _RUNS_OF_COLOURS = 0, 1, 2, 3, 4
_MASKS = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
_MASK_BYTES, _ALPHA_AT = 16, 12

_SHORT_HEADER, _OS2_HEADER = 12, 64
_SIZE_AT = 18
_INDEX_BITS = (1, 2, 4, 8)
_TWO_BITS = 2

# Behind a zero.
_END_OF_ROW, _MOVE = 0, 2


def prepare_bmp(data: bytes) -> PreparedFile:
    """Return the file with pixels of 32 bits by masks where its header declares opacity, and with a whole palette.

    Raises `TooManyPixelsError` for run-lengths of too large a picture.
    """
    masks = data[_MASKS_AT : _MASKS_AT + _MASK_BYTES]
    header = int.from_bytes(data[_HEADER_AT : _HEADER_AT + 4], "little")
    if len(masks) < _MASK_BYTES or header == _SHORT_HEADER:
        return PreparedFile(data)
    bits, compression = struct.unpack_from("<HI", data, _BITS_AT)
    if bits in _INDEX_BITS:
        return _prepare_indexed(data, header, bits, compression)
    if (header, bits, compression) == (_OS2_HEADER, 24, _RUNS_OF_COLOURS):
        return _prepare_runs_of_colours(data)
    if bits in (16, 32) and compression == _BY_MASKS and header != _OS2_HEADER:
        return PreparedFile(_by_usual_masks(data, header, bits, masks) or data)
    declares_alpha = header in _WITH_ALPHA and any(masks[_ALPHA_AT:])
    if not declares_alpha or (bits, compression) != (32, _PLAIN):
        return PreparedFile(data)
    # Red, green and blue have fixed places there, whatever their masks are.
    by_masks = struct.pack("<I", _BY_MASKS) + data[_COMPRESSION_AT + 4 : _MASKS_AT] + _MASKS
    is_usual = masks[_ALPHA_AT:] == _MASKS[_ALPHA_AT:]
    return PreparedFile(
        data[:_COMPRESSION_AT] + by_masks + data[_MASKS_AT + _MASK_BYTES :],
        ambiguous=frozenset() if is_usual else frozenset({"structure"}),
    )


def _by_usual_masks(data: bytes, header: int, bits: int, masks: bytes) -> bytes | None:
    """Return the file by masks that the decoder reads; None if it reads these, or browsers do not."""
    (offset,) = struct.unpack_from("<I", data, _OFFSET_AT)
    red, green, blue, alpha = struct.unpack("<4I", masks)
    size = struct.unpack_from("<2i", data, _SIZE_AT)
    return without_masks(data[offset:], size, bits, (red, green, blue, alpha if header in _WITH_ALPHA else 0))


def _prepare_runs_of_colours(data: bytes) -> PreparedFile:
    (offset,) = struct.unpack_from("<I", data, _OFFSET_AT)
    width, height = struct.unpack_from("<2i", data, _SIZE_AT)
    if width <= 0 or height <= 0:
        return PreparedFile(data)
    check_run_lengths((width, height))
    plain, has_skips = without_runs_of_colours(data[offset:], (width, height))
    return PreparedFile(plain, ambiguous=frozenset({"opacity"}) if has_skips else frozenset())


def _prepare_indexed(data: bytes, header: int, bits: int, compression: int) -> PreparedFile:
    (offset,) = struct.unpack_from("<I", data, _OFFSET_AT)
    ambiguous = frozenset[Feature]()
    if compression in {_RUNS_OF_BYTES, _RUNS_OF_NIBBLES}:
        width, height = struct.unpack_from("<2i", data, _SIZE_AT)
        check_run_lengths((width, abs(height)))
        if skips_pixels(data[offset:], (width, abs(height)), has_nibbles=compression == _RUNS_OF_NIBBLES):
            ambiguous = frozenset({"opacity"})  # browsers leave them transparent
    if bits == _TWO_BITS and compression == _PLAIN:
        bits = 8
        data = without_two_bits(data, offset, struct.unpack_from("<2i", data, _SIZE_AT)) or data
    return PreparedFile(_with_whole_palette(data, _HEADER_AT + header, offset, 1 << bits), ambiguous=ambiguous)


def _with_whole_palette(data: bytes, start: int, offset: int, colours: int) -> bytes:
    """Return the file with black for the colours that its palette lacks, as browsers show them."""
    (announced,) = struct.unpack_from("<I", data, _COLOURS_AT)
    there = announced if 0 < announced <= colours else colours
    if announced in {0, colours} and offset >= start + 4 * colours:
        return data
    palette = data[start : start + 4 * there].ljust(4 * colours, b"\0")
    opening = bytearray(data[:start])
    struct.pack_into("<I", opening, _COLOURS_AT, colours)
    struct.pack_into("<I", opening, _OFFSET_AT, start + len(palette))
    return bytes(opening) + palette + data[max(offset, start + 4 * there) :]


def skips_pixels(codes: bytes, size: tuple[int, int], *, has_nibbles: bool) -> bool:
    """Say whether run-lengths leave out pixels of a picture of a size: by a move, or by rows that end early."""
    width, height = size
    x = y = at = 0
    while y < height and at + 1 < len(codes):
        count, value = codes[at], codes[at + 1]
        at += 2
        if count:
            x += count
        elif value > _MOVE:
            x += value
            length = (value + 1) // 2 if has_nibbles else value
            at += length + length % 2
        elif value == _END_OF_ROW and x >= width:
            x, y = 0, y + 1
        else:
            break  # a move, or an end; that of the picture may follow its last pixel
    return y < height - 1 or (y < height and x < width)
