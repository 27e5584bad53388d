"""How long each frame of an AVIF sequence is shown, read from the boxes of its track (ISO/IEC 14496-12)."""

from collections.abc import Iterator

from service.media.prepare.isobmff import MAX_BOXES, Box, walk
from service.media.structure import MAX_FRAMES

_PICTURES = b"pict"
_HANDLER_AT = 8
_FULL_BYTES, _ENTRY_BYTES = 4, 8
# Of mdhd: the time scale is behind two dates, of 32 bits in version 0 and of 64 in version 1.
_SCALE_AT = {0: 12, 1: 20}


def track_times_ms(data: bytes) -> tuple[int, ...]:
    """Return the time of each frame of the first track of pictures in ms; nothing for a file without one.

    More frames than any animation may have are cut off, so that their number contradicts that of the decoder.
    """
    budget = iter(range(MAX_BOXES))
    for movie in _within(data, Box(b"", 0, len(data)), b"moov", budget):
        for track in _within(data, movie, b"trak", budget):
            for media in _within(data, track, b"mdia", budget):
                parts = {box.kind: box for box in walk(data, media.start, media.end, budget)}
                if _is_of_pictures(data, parts.get(b"hdlr")) and (times := _times(data, parts, budget)):
                    return times
    return ()


def _within(data: bytes, outer: Box, kind: bytes, budget: Iterator[int]) -> Iterator[Box]:
    return (box for box in walk(data, outer.start, outer.end, budget) if box.kind == kind)


def _is_of_pictures(data: bytes, handler: Box | None) -> bool:
    # Tracks of opacity have the handler "auxv".
    return handler is not None and data.startswith(_PICTURES, handler.start + _HANDLER_AT)


def _times(data: bytes, media: dict[bytes, Box], budget: Iterator[int]) -> tuple[int, ...]:
    header, information = media.get(b"mdhd"), media.get(b"minf")
    if header is None or information is None or header.end <= header.start:
        return ()
    at = header.start + _SCALE_AT.get(data[header.start], _SCALE_AT[0])
    scale = int.from_bytes(data[at : at + 4])
    for table in _within(data, information, b"stbl", budget):
        for times in _within(data, table, b"stts", budget):
            return tuple(round(1000 * ticks / scale) for ticks in _ticks(data, times)) if scale else ()
    return ()


def _ticks(data: bytes, times: Box) -> list[int]:
    """Return the length of each frame in units of the track's time scale."""
    ticks: list[int] = []
    start = times.start + _FULL_BYTES
    entries = min(int.from_bytes(data[start : start + 4]), (times.end - start - 4) // _ENTRY_BYTES)
    for at in range(start + 4, start + 4 + _ENTRY_BYTES * entries, _ENTRY_BYTES):
        count, length = int.from_bytes(data[at : at + 4]), int.from_bytes(data[at + 4 : at + 8])
        ticks += [length] * min(count, MAX_FRAMES + 1 - len(ticks))
        if len(ticks) > MAX_FRAMES:
            break
    return ticks
