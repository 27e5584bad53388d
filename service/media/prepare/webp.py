"""WebP: how long each frame is shown, and opacity that its headers deny: browsers take it from the pixels."""

from collections.abc import Iterator

from service.media.prepare.prepared_file import PreparedFile

_HEADER_BYTES, _CHUNK_HEADER_BYTES = 12, 8
# In a chunk of a frame: behind its place and size.
_TIME_AT, _TIME_BYTES = 12, 3
_HAS_ALPHA = 0x10
# A lossless picture begins with a mark, width and height of 14 bits each, and a bit for its opacity.
_OPACITY_AT, _OPACITY = 4, 0x10


def prepare_webp(data: bytes) -> PreparedFile:
    """Return the file with the time of each frame, and with opacity declared wherever it may be.

    What no frame of an animation covers is transparent. What lies behind the end of the RIFF form is no frame.
    """
    times: list[int] = []
    changes: dict[int, int] = {}
    end = min(len(data), _CHUNK_HEADER_BYTES + int.from_bytes(data[4:8], "little"))
    flags_at = None
    for kind, body, length in _chunks(data, _HEADER_BYTES, end):
        if kind == b"VP8X" and flags_at is None and length:
            flags_at = body
        elif kind == b"VP8L" and length > _OPACITY_AT:
            changes[body + _OPACITY_AT] = _OPACITY
        elif kind == b"ANMF":
            times.append(int.from_bytes(data[body + _TIME_AT : body + min(length, _TIME_AT + _TIME_BYTES)], "little"))
            if flags_at is not None:
                changes[flags_at] = _HAS_ALPHA
    changed = _with_bits(data, changes)
    return PreparedFile(
        changed, durations_ms=tuple(times) if len(times) > 1 else (), denies_opacity=changed is not data and not times
    )


def _chunks(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind of each chunk, and where its body begins and how long it says to be."""
    while at + _CHUNK_HEADER_BYTES <= end:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], at + _CHUNK_HEADER_BYTES, min(length, end - at - _CHUNK_HEADER_BYTES)
        at += _CHUNK_HEADER_BYTES + length + length % 2


def _with_bits(data: bytes, changes: dict[int, int]) -> bytes:
    """Return the file with bits set, by their places."""
    missing = {place: bit for place, bit in changes.items() if not data[place] & bit}
    if not missing:
        return data
    changed = bytearray(data)
    for place, bit in missing.items():
        changed[place] |= bit
    return bytes(changed)
