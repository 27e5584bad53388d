"""The track of an AVIF sequence (ISO/IEC 14496-12): how long its frames are shown, and where their pixels lie."""

from collections.abc import Iterator
from dataclasses import dataclass

from service.media.prepare.isobmff import MAX_BOXES, Box, walk
from service.media.structure import MAX_FRAMES

_PICTURES = b"pict"
_HANDLER_AT = 8
_FULL_BYTES, _ENTRY_BYTES = 4, 8
# Of mdhd: the time scale is behind two dates, of 32 bits in version 0 and of 64 in version 1.
_SCALE_AT = {0: 12, 1: 20}
# Of a description of samples: their number; and what stands before the boxes of the first.
_COUNT_BYTES, _SAMPLE_ENTRY_BYTES = 4, 78
_OFFSET_BYTES = {b"stco": 4, b"co64": 8}


@dataclass(frozen=True, slots=True)
class Track:
    """What the boxes of a track of pictures say."""

    times_ms: tuple[int, ...]
    """How long each frame is shown. More frames than an animation may have are cut off, so that their number
    contradicts that of the decoder."""
    properties: tuple[Box, ...]
    """What describes the pictures, such as their colours."""
    start: int
    """Where the first frame lies in the file; 0 if the file does not say."""


def read_track(data: bytes) -> Track | None:
    """Return the first track of pictures; None for a file without one."""
    budget = iter(range(MAX_BOXES))
    for movie in _within(data, Box(b"", 0, len(data)), b"moov", budget):
        for track in _within(data, movie, b"trak", budget):
            for media in _within(data, track, b"mdia", budget):
                parts = {box.kind: box for box in walk(data, media.start, media.end, budget)}
                if _is_of_pictures(data, parts.get(b"hdlr")) and b"mdhd" in parts and b"minf" in parts:
                    return _read(data, parts[b"mdhd"], parts[b"minf"], budget)
    return None


def _within(data: bytes, outer: Box, kind: bytes, budget: Iterator[int]) -> Iterator[Box]:
    return (box for box in walk(data, outer.start, outer.end, budget) if box.kind == kind)


def _is_of_pictures(data: bytes, handler: Box | None) -> bool:
    # Tracks of opacity have the handler "auxv".
    return handler is not None and data.startswith(_PICTURES, handler.start + _HANDLER_AT)


def _read(data: bytes, header: Box, information: Box, budget: Iterator[int]) -> Track:
    at = header.start + _SCALE_AT.get(int.from_bytes(data[header.start : header.start + 1]), _SCALE_AT[0])
    scale = int.from_bytes(data[at : at + 4])
    tables: dict[bytes, Box] = {}
    for table in _within(data, information, b"stbl", budget):
        tables = {box.kind: box for box in walk(data, table.start, table.end, budget)}
    times, samples = tables.get(b"stts"), tables.get(b"stsd")
    properties: list[Box] = []
    if samples is not None:
        for entry in walk(data, samples.start + _FULL_BYTES + _COUNT_BYTES, samples.end, budget):
            properties += walk(data, entry.start + _SAMPLE_ENTRY_BYTES, entry.end, budget)
    return Track(
        tuple(round(1000 * ticks / scale) for ticks in _ticks(data, times)) if scale and times else (),
        tuple(properties),
        next((_first_offset(data, tables[kind]) for kind in _OFFSET_BYTES if kind in tables), 0),
    )


def _first_offset(data: bytes, table: Box) -> int:
    start = table.start + _FULL_BYTES + _COUNT_BYTES
    return int.from_bytes(data[start : start + _OFFSET_BYTES[table.kind]])


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
