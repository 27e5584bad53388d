"""A GIF: its blocks as browsers find them, and its frames, of which Pillow decodes each as a file of its own."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from service.media.composed_file import ComposedFile

_HEADER_BYTES, _CANVAS_AT, _PALETTE_AT = 13, 6, 10
_EXTENSION, _FRAME, _TRAILER = b"!,;"
_CONTROL, _CONTROL_BYTES = 0xF9, 4
# Of a frame's description: left, top, width, height, flags.
_DESCRIPTION_BYTES = 9
# How many bits the first codes of a frame take.
_CODE_BITS = range(2, 9)
_IS_TRANSPARENT = 1
_TO_TRANSPARENT, _TO_PREVIOUS = 2, (3, 4)

# Flags of a palette of 256 colours, a background, a shape of pixels; and the palette.
_BLACK = b"\xf7\0\0" + bytes(3 * 256)


@dataclass(frozen=True, slots=True)
class _Frame:
    box: tuple[int, int, int, int]
    """Left, top, width and height on the canvas."""
    control: bytes
    """Flags, time and transparent colour; empty for a frame without them."""
    start: int
    """Of its description."""
    end: int

    @property
    def clears(self) -> bool:
        return self._disposal == _TO_TRANSPARENT

    @property
    def restores(self) -> bool:
        return self._disposal in _TO_PREVIOUS

    @property
    def _disposal(self) -> int:
        return self.control[0] >> 2 & 7 if self.control else 0


class OpenGifFile(ComposedFile):
    """A GIF with its frames in RGB, or RGBA where something shows through."""

    format = "GIF"

    def _open(self) -> None:
        self._data = self.fp.read() if self.fp else b""
        self._frames = _frames(self._data)
        if not self._frames:
            raise SyntaxError("no frame")
        across, down = struct.unpack_from("<2H", self._data, _CANVAS_AT)
        left, top, width, height = self._frames[0].box
        # Browsers make room for the first frame, and for no other one.
        self._start((max(across, left + width), max(down, top + height)), self._frames)

    def _lay(self, number: int, canvas: Image.Image) -> None:
        frame = self._frames[number]
        Image._decompression_bomb_check(frame.box[2:])  # as Pillow does with frames that reach beyond their canvas
        picture = GifImageFile(BytesIO(self._alone(frame))).convert("RGBA")
        canvas.paste(picture, frame.box[:2], picture)

    def _alone(self, frame: _Frame) -> bytes:
        """Return a file that holds one frame, which fills its canvas."""
        _, _, width, height = frame.box
        size = struct.pack("<2H", width, height)
        palette = gif_palette_bytes(self._data[_PALETTE_AT : _PALETTE_AT + 1])
        header = b"GIF89a" + size + self._data[_PALETTE_AT : _HEADER_BYTES + palette]
        if not palette and not gif_palette_bytes(self._data[frame.start + 8 : frame.start + 9]):
            header = b"GIF89a" + size + _BLACK  # browsers show black where Pillow takes indexes for greys
        # No disposal: Pillow would make room for the frame after it.
        flags = bytes((frame.control[0] & _IS_TRANSPARENT,)) if frame.control else b""
        control = b"!\xf9\4" + flags + frame.control[1:] + b"\0" if flags else b""
        description = b"," + bytes(4) + size + self._data[frame.start + 8 : frame.end]
        return header + control + description + bytes((_TRAILER,))


def _frames(data: bytes) -> list[_Frame]:
    """Return the frames that are whole, and the first in any case: there is nothing to show without it."""
    frames: list[_Frame] = []
    control = b""
    for kind, start, end in gif_blocks(data):
        if kind == _CONTROL and data[start : start + 1] == bytes((_CONTROL_BYTES,)):
            control = data[start + 1 : start + 1 + _CONTROL_BYTES]
        elif kind == _FRAME and start + _DESCRIPTION_BYTES < len(data) and (end <= len(data) or not frames):
            box = struct.unpack_from("<4H", data, start)
            frames.append(_Frame(box, control if len(control) == _CONTROL_BYTES else b"", start, end))
            control = b""
    return frames


class GifBlock(NamedTuple):
    """A frame or an extension: what it is, and where it lies in the file."""

    kind: int
    """The mark of a frame, or an extension's label."""
    start: int
    """Of a frame's description, or of an extension's first part."""
    end: int


def gif_blocks(data: bytes) -> Iterator[GifBlock]:
    """Yield the frames and extensions as browsers find them: up to what is neither, or is not as it has to be."""
    at = _HEADER_BYTES + gif_palette_bytes(data[10:11])
    while at < len(data):
        introducer, at = data[at], at + 1
        if introducer == _FRAME:
            kind, start = _FRAME, at
            at += _DESCRIPTION_BYTES + gif_palette_bytes(data[at + 8 : at + 9]) + 1
            if at <= len(data) and data[at - 1] not in _CODE_BITS:
                return
        elif introducer == _EXTENSION:
            at += 1
            kind, start = int.from_bytes(data[at - 1 : at]), at
            if kind == _CONTROL and data[at : at + 1] not in {b"", bytes((_CONTROL_BYTES,))}:
                return
        else:
            return
        while at < len(data) and (length := data[at]):
            at += length + 1
        at += 1
        yield GifBlock(kind, start, at)


def has_more_than_browsers_read(data: bytes) -> bool:
    """Say whether something follows the last block that browsers read, and does not begin with the mark of the end."""
    end = _HEADER_BYTES + gif_palette_bytes(data[10:11])
    for block in gif_blocks(data):
        end = block.end
    rest = data[end:].lstrip(b"\0")
    return bool(rest) and (end < len(data) and data[end] != _TRAILER)


def gif_palette_bytes(flags: bytes) -> int:
    """Return the length of the palette that a header or a frame announces."""
    value = int.from_bytes(flags)
    return 3 << (value & 7) + 1 if value & 0x80 else 0
