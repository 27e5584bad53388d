"""BMP: the alpha channel that browsers read of the headers that declare one, and Pillow only of pixels by masks."""

import struct

from service.media.prepare.prepared_file import PreparedFile

_HEADER_AT, _BITS_AT, _COMPRESSION_AT, _MASKS_AT = 14, 28, 30, 54
_WITH_ALPHA = (108, 124)
_PLAIN, _BY_MASKS = 0, 3
_MASKS = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
_MASK_BYTES, _ALPHA_AT = 16, 12


def prepare_bmp(data: bytes) -> PreparedFile:
    """Return the file, with pixels of 32 bits by masks where its header declares an alpha channel."""
    masks = data[_MASKS_AT : _MASKS_AT + _MASK_BYTES]
    if len(masks) < _MASK_BYTES:
        return PreparedFile(data)
    (header,) = struct.unpack_from("<I", data, _HEADER_AT)
    bits, compression = struct.unpack_from("<HI", data, _BITS_AT)
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
