"""The pictures of a PNG file and the times they are shown, as browsers find them in its chunks.

Where the rules of animations are broken, browsers show the frames before that, and other viewers show others.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from service.media.prepare.png_chunks import Chunk, written

_ACTL_BYTES, _FCTL_BYTES, _SEQUENCE_BYTES = 8, 26, 4
_MOST_FRAMES = 0x7FFFFFFF
_LAST_DISPOSAL, _LAST_BLEND = 2, 1

# A denominator of 0 means hundredths of a second.
_HUNDREDTHS = 100


@dataclass(slots=True)
class Frame:
    """One picture: how it is shown, and its compressed pixels."""

    control: bytes | None
    """The body of its fcTL; None for a picture that is no part of an animation."""
    data: list[Chunk] = field(default_factory=list)

    def size(self, canvas: tuple[int, int]) -> tuple[int, int]:
        """Return width and height."""
        if self.control is None:
            return canvas
        width, height = struct.unpack_from(">II", self.control, 4)
        return width, height

    @property
    def duration_ms(self) -> int:
        """How long it is shown by its control; 0 if it is no part of an animation."""
        if self.control is None:
            return 0
        numerator, denominator = (int.from_bytes(self.control[at : at + 2]) for at in (20, 22))
        return round(1000 * numerator / (denominator or _HUNDREDTHS))


class BrokenError(Exception):
    """A rule of animations is broken: no frame behind this place is shown."""


@dataclass(slots=True)
class Frames:
    """Reads fcTL, IDAT and fdAT in the order of the file."""

    size: tuple[int, int]
    declared: int = 0
    """Frames that the first valid acTL announces; 0 for a still picture."""
    found: list[Frame] = field(default_factory=list)
    is_odd: bool = False
    """The file breaks rules of animations, so that viewers may show other frames."""
    _sequence: int = -1
    _control: bytes | None = None

    def announce(self, chunk: Chunk) -> None:
        """Read an acTL in front of the pixels: the first valid one counts."""
        frames, plays = struct.unpack(">II", chunk.body) if len(chunk.body) == _ACTL_BYTES else (0, 0)
        is_valid = chunk.is_sound and 0 < frames <= _MOST_FRAMES and plays <= _MOST_FRAMES
        if not is_valid or self.declared:
            self.is_odd = True
        else:
            self.declared = frames

    def start_default(self) -> Frame:
        """Return the picture in IDAT, which is the first frame if an fcTL came before."""
        frame = Frame(self._control if self.declared else None)
        self._control = None
        self.found.append(frame)
        return frame

    def control(self, chunk: Chunk) -> None:
        """Read an fcTL; raises `BrokenError` for one that no frame can follow."""
        if not chunk.is_sound:
            self.is_odd = True
            return
        self._follow(chunk)
        width, height, left, top = struct.unpack_from(">4I", chunk.body, 4)
        is_inside = width and height and left + width <= self.size[0] and top + height <= self.size[1]
        is_default = self.found or (width, height) == self.size
        if not (is_inside and is_default and chunk.body[24] <= _LAST_DISPOSAL and chunk.body[25] <= _LAST_BLEND):
            raise BrokenError
        # The first frame has nothing to lie on, so it replaces; the next fcTL takes the place of one without pixels.
        self.is_odd |= self._control is not None
        self._control = bytes(chunk.body)

    def add(self, chunk: Chunk) -> None:
        """Read an fdAT; raises `BrokenError` for one that belongs to no frame."""
        last = self.found[-1].data[-1]
        is_continued = last.kind == b"fdAT" and last.end == chunk.at
        if chunk.length < _SEQUENCE_BYTES or (self._control is None and not is_continued):
            raise BrokenError
        self._follow(chunk)
        if self._control is not None:
            self.found.append(Frame(self._control))
            self._control = None
        self.found[-1].data.append(chunk)

    def _follow(self, chunk: Chunk) -> None:
        if chunk.kind == b"fcTL" and len(chunk.body) != _FCTL_BYTES:
            raise BrokenError
        number = int.from_bytes(chunk.body[:_SEQUENCE_BYTES])
        if number != self._sequence + 1:
            raise BrokenError
        self._sequence = number

    def read_behind_pixels(self, rest: Iterable[Chunk]) -> None:
        """Read the frames that follow IDAT."""
        try:
            for chunk in rest:
                self._read(chunk)
        except BrokenError:
            self.is_odd = True

    def _read(self, chunk: Chunk) -> None:
        if chunk.kind == b"fcTL":
            self.control(chunk)
        elif chunk.kind == b"fdAT":
            self.add(chunk)
        elif chunk.kind == b"IDAT":
            raise BrokenError
        elif chunk.kind == b"acTL":
            self.is_odd = True

    def shown(self) -> Sequence[Frame]:
        """Return what browsers show: not more frames than are announced, and the last one only if it is whole."""
        if not self.declared:
            self.is_odd |= len(self.found) > 1
            return self.found[:1]
        hidden = int(self.found[0].control is None)
        whole = [frame for frame in self.found[1:] if frame.data[-1].is_whole]
        self.is_odd |= len(whole) + 1 - hidden != self.declared
        return [self.found[0], *whole][: self.declared + hidden]


def still(frame: Frame) -> list[bytes | memoryview]:
    """Return the chunks of a picture alone: one run of the file, if nothing in it must be mended."""
    first, last = frame.data[0], frame.data[-1]
    if last.is_whole:
        return [first.file[first.at : last.end]]
    return [written(b"IDAT", chunk.body) for chunk in frame.data]


def animated(frames: Sequence[Frame]) -> list[bytes | memoryview]:
    """Return the chunks of an animation from acTL on, numbered anew where the file's numbers have gaps."""
    parts: list[bytes | memoryview] = []
    number = 0
    for frame in frames:
        if frame.control is not None:
            parts.append(written(b"fcTL", struct.pack(">I", number) + frame.control[4:]))
            number += 1
        for chunk in frame.data:
            if chunk.kind == b"IDAT":
                parts.append(written(b"IDAT", chunk.body))
                continue
            parts.append(written(b"fdAT", struct.pack(">I", number) + bytes(chunk.pixels)))
            number += 1
    return parts
