"""A PNG file as browsers read it: written anew from the chunks that they honour, in their order.

The rules are those of the `png` crate, which Chromium decodes with: of chunks of one kind the first valid one counts,
an ancillary chunk with a wrong checksum is skipped, and what stands behind the end is ignored.
"""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from service.media.errors import ImageCorruptError
from service.media.orientation import read_orientation
from service.media.prepare.png_chunks import SIGNATURE, Chunk, chunks, written
from service.media.prepare.png_colours import KINDS, Declarations
from service.media.prepare.png_frames import BrokenError, Frame, Frames, animated, still
from service.media.prepare.png_rows import completed, layout, unpacked_bytes
from service.media.prepare.prepared_file import PreparedFile
from service.media.profiles import is_steep

_HEADER_BYTES, _COLOUR_BYTES = 13, 3
_GREY, _RGB, _PALETTE = 0, 2, 3
_MOST_COLOURS = 256
_FULL_DEPTH = 16

_XMP = b"XML:com.adobe.xmp\0"


@dataclass(slots=True)
class _Png:
    """What is known of a file while its chunks are read."""

    header: bytes
    frames: Frames
    colours: Declarations = field(default_factory=Declarations)
    palette: bytes | None = None
    transparency: bytes | None = None
    exif: list[bytes] = field(default_factory=list)
    """The block that browsers read, then those that others may read."""
    xmp: bytes = b""
    ambiguous: set[str] = field(default_factory=set)

    @property
    def bits(self) -> int:
        """Of a sample, or of a palette's index."""
        return self.header[8]

    @property
    def colour_type(self) -> int:
        """Which samples make a pixel."""
        return self.header[9]


def prepare_png(data: bytes) -> PreparedFile:
    """Return the file with what browsers ignore left out; raises `ImageCorruptError` if they show nothing."""
    png = _read(data)
    return _prepared(png, png.frames.shown())


def complete_png(data: bytes) -> PreparedFile:
    """Return a file whose pixels end too early, as browsers show it: rows that are missing are hidden.

    Of an animation, the frames before the first damaged one are left.
    """
    png = _read(data)
    first, *others = png.frames.shown()
    wanted = layout(png.header, png.frames.size)
    first_data, rows = completed(first.data, wanted)
    if not rows:
        raise ImageCorruptError(detail="PNG whose pixels cannot be unpacked")
    whole = list(takewhile(lambda frame: _is_whole(png, frame), others))
    if rows < wanted.height or wanted.is_interlaced or len(whole) < len(others):
        png.ambiguous.add("truncated")
    return replace(_prepared(png, [replace(first, data=first_data), *whole]), rows_shown=rows)


def lacks_pixels(data: bytes) -> bool:
    """Say whether the first picture ends too early; a decoder leaves the rest black and reports nothing."""
    png = _read(data)
    wanted = layout(png.header, png.frames.size)
    return unpacked_bytes(png.frames.found[0].data, wanted) < wanted.total_bytes


def _is_whole(png: _Png, frame: Frame) -> bool:
    wanted = layout(png.header, frame.size(png.frames.size))
    return unpacked_bytes(frame.data, wanted) == wanted.total_bytes


def _read(data: bytes) -> _Png:
    reading = chunks(data)
    png = _start(next(reading, None))
    first = _read_before_pixels(png, reading)
    png.frames.read_behind_pixels(_rest(png, _read_pixels(png, first, reading), reading))
    return png


def _prepared(png: _Png, frames: Sequence[Frame]) -> PreparedFile:
    profile = png.colours.profile()
    _note_oddities(png, frames, profile)
    turned = read_orientation(png.exif, png.xmp)
    if not turned.is_clear:
        png.ambiguous.add("orientation")
    return PreparedFile(
        data=_canonical(png, frames),
        profile=profile,
        durations_ms=tuple(frame.duration_ms for frame in frames) if len(frames) > 1 else (),
        transparent_colour=_deep_colour(png, frames),
        orientation=turned.shown,
        ambiguous=frozenset(png.ambiguous | png.colours.ambiguous),
    )


def _start(chunk: Chunk | None) -> _Png:
    if chunk is None or chunk.kind != b"IHDR" or chunk.length != _HEADER_BYTES or not chunk.is_sound:
        raise ImageCorruptError(detail="PNG without a valid header")
    header = bytes(chunk.body)
    return _Png(header, Frames((int.from_bytes(header[:4]), int.from_bytes(header[4:8]))))


def _read_before_pixels(png: _Png, reading: Iterator[Chunk]) -> Chunk:
    """Read up to the first IDAT and return it."""
    for chunk in reading:
        if chunk.kind == b"IDAT" and (png.palette or png.colour_type != _PALETTE):
            return chunk
        try:
            _read_one(png, chunk)
        except BrokenError:
            raise ImageCorruptError(detail="PNG with an animation that breaks before its first picture") from None
    raise ImageCorruptError(detail="PNG without pixels")


def _read_one(png: _Png, chunk: Chunk) -> None:
    kind = chunk.kind
    if kind in KINDS:
        png.colours.read(chunk, is_behind_palette=png.palette is not None)
    elif kind in _READERS:
        _READERS[kind](png, chunk)
    elif kind == b"fdAT" or chunk.is_critical:
        raise ImageCorruptError(detail=f"PNG with a chunk {kind!r} before its pixels")


def _read_palette(png: _Png, chunk: Chunk) -> None:
    if png.palette is not None or not chunk.is_sound or not _COLOUR_BYTES <= chunk.length <= 3 * _MOST_COLOURS:
        raise ImageCorruptError(detail="PNG with a broken or second palette")
    png.palette = bytes(chunk.body[: chunk.length // _COLOUR_BYTES * _COLOUR_BYTES])


def _read_transparency(png: _Png, chunk: Chunk) -> None:
    needed = {_GREY: 2, _RGB: 6, _PALETTE: 1}.get(png.colour_type)
    if needed is None:
        return
    body = bytes(chunk.body)
    is_valid = chunk.is_sound and needed <= len(body) <= _MOST_COLOURS
    if png.colour_type == _PALETTE:
        is_valid &= png.palette is not None
    if not is_valid or png.transparency not in {None, body}:
        png.ambiguous.add("structure")
    elif png.transparency is None:
        png.transparency = body


def _read_xmp(png: _Png, chunk: Chunk) -> None:
    if not png.xmp and bytes(chunk.body[: len(_XMP)]) == _XMP:
        png.xmp = bytes(chunk.body)


_READERS: Mapping[bytes, Callable[[_Png, Chunk], None]] = {
    b"PLTE": _read_palette,
    b"tRNS": _read_transparency,
    b"eXIf": lambda png, chunk: png.exif.append(bytes(chunk.body)),
    b"iTXt": _read_xmp,
    b"acTL": lambda png, chunk: png.frames.announce(chunk),
    b"fcTL": lambda png, chunk: png.frames.control(chunk),
}


def _read_pixels(png: _Png, first: Chunk, reading: Iterator[Chunk]) -> Chunk | None:
    """Read the run of IDAT chunks and return what follows it, if anything does."""
    frame = png.frames.start_default()
    chunk: Chunk | None = first
    while chunk is not None and chunk.kind == b"IDAT":
        frame.data.append(chunk)
        chunk = next(reading, None)
    return chunk


def _rest(png: _Png, stopped: Chunk | None, reading: Iterator[Chunk]) -> Iterator[Chunk]:
    """Yield what follows the first picture, and note what counts only in front of it."""
    chunk = stopped
    while chunk is not None:
        _note_late(png, chunk)
        yield chunk
        chunk = next(reading, None)


def _note_late(png: _Png, chunk: Chunk) -> None:
    """Take note of chunks behind the pixels that other viewers may read."""
    if chunk.kind in KINDS:
        png.ambiguous.add("colour_declaration")
    elif chunk.kind == b"tRNS":
        png.ambiguous.add("structure")
    elif chunk.kind == b"eXIf":
        # Browsers read none behind the pixels, and the first block is theirs.
        png.exif = [*(png.exif or [b""]), bytes(chunk.body)]
    elif chunk.kind in {b"IDAT", b"PLTE"}:
        png.ambiguous.add("structure")


def _note_oddities(png: _Png, frames: Sequence[Frame], profile: bytes | None) -> None:
    """Add what only the whole file shows."""
    if png.frames.is_odd:
        png.ambiguous.add("animation_control")
    if not all(chunk.is_whole for frame in png.frames.found[1:] for chunk in frame.data):
        png.ambiguous.add("truncated")
    if not all(chunk.is_sound for frame in frames for chunk in frame.data if chunk.is_whole):
        png.ambiguous.add("structure")
    if png.transparency and png.bits == _FULL_DEPTH and len(frames) > 1:
        png.ambiguous.add("structure")
    if png.bits == _FULL_DEPTH and profile and is_steep(profile):
        # Browsers convert the upper bytes, and a picture may be hidden in the lower ones.
        png.ambiguous.add("colour_declaration")


def _deep_colour(png: _Png, frames: Sequence[Frame]) -> tuple[int, int, int] | None:
    """Return the transparent colour of a picture of three samples of 16 bits, which Pillow cannot compare."""
    if (png.bits, png.colour_type) != (_FULL_DEPTH, _RGB) or not png.transparency or len(frames) > 1:
        return None
    red, green, blue = struct.unpack_from(">3H", png.transparency)
    return red, green, blue


def _canonical(png: _Png, frames: Sequence[Frame]) -> bytes:
    parts: list[bytes | memoryview] = [SIGNATURE, written(b"IHDR", png.header)]
    if png.palette is not None and png.colour_type == _PALETTE:
        parts.append(written(b"PLTE", _padded(png.palette)))
    if png.transparency and not _deep_colour(png, frames) and (transparency := _transparency(png, png.transparency)):
        parts.append(written(b"tRNS", transparency))
    if len(frames) > 1:
        controlled = sum(frame.control is not None for frame in frames)
        parts.append(written(b"acTL", struct.pack(">II", controlled, 0)))
        parts += animated(frames)
    else:
        parts += still(frames[0])
    return b"".join([*parts, written(b"IEND", b"")])


def _padded(palette: bytes) -> bytes:
    """Return a full palette: browsers show its last colour for indexes beyond it, Pillow black."""
    return palette + palette[-_COLOUR_BYTES:] * (_MOST_COLOURS - len(palette) // _COLOUR_BYTES)


def _transparency(png: _Png, body: bytes) -> bytes | None:
    """Return a tRNS as Pillow reads it; None if it makes nothing transparent."""
    if png.colour_type == _PALETTE:
        colours = len(png.palette or b"") // _COLOUR_BYTES
        return body[:colours] + body[colours - 1 : colours] * (_MOST_COLOURS - colours)
    count = 1 if png.colour_type == _GREY else 3
    samples = struct.unpack_from(f">{count}H", body)
    if png.bits == _FULL_DEPTH:
        return body[: 2 * count]
    # Only the lower byte is compared. Pillow spreads samples of fewer bits over the range before it compares them.
    most = (1 << png.bits) - 1
    low = [sample & 0xFF for sample in samples]
    return struct.pack(f">{count}H", *(sample * 255 // most for sample in low)) if max(low) <= most else None
