"""An animated PNG whose frames are composed as browsers do it: what is covered by no frame, or cleared, is transparent.

Pillow clears to black, or to the first colour of a palette, where the file has no opacity of its own, and mixes
transparent frames otherwise. It decodes each frame here, as a file of its own.
"""

import struct
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile

from service.media.colours import widen
from service.media.prepare.png_chunks import SIGNATURE, Chunk, chunks, written

_HEADER_BYTES, _CONTROL_BYTES = 13, 26
_GREYS = (0, 4)
_FOR_ALL = (b"PLTE", b"tRNS")
_TO_TRANSPARENT, _TO_PREVIOUS = 1, 2
_OVER = 1
_OPAQUE = 255


@dataclass(slots=True)
class _Frame:
    box: tuple[int, int, int, int]
    """Left, top, width and height on the canvas."""
    disposal: int = 0
    blend: int = 0
    is_alone: bool = False
    """It is no part of the animation: what viewers show that have none."""
    data: list[Chunk] = field(default_factory=list)


class OpenApngFile(ImageFile):
    """An animated PNG with its frames in L or RGB, or with an alpha channel where something shows through."""

    format = "PNG"

    def _open(self) -> None:
        data = self.fp.read() if self.fp else b""
        header, *others = chunks(data)
        if header.length != _HEADER_BYTES:
            raise SyntaxError("no header")
        self._header = bytes(header.body)
        self._common = b"".join(written(chunk.kind, chunk.body) for chunk in others if chunk.kind in _FOR_ALL)
        self._size = struct.unpack_from(">2I", self._header)
        self._frames = _frames(others, self._size)
        self._is_grey = self._header[9] in _GREYS
        self._mode = "RGBA"
        self.tile = []
        self.n_frames = len(self._frames)
        self.is_animated = self.n_frames > 1
        self._shown, self._wanted = -1, 0
        self._restored: Image.Image | None = None

    def seek(self, frame: int) -> None:
        """Choose the frame that `load` gives; raise EOFError if there is none."""
        if not 0 <= frame < self.n_frames:
            raise EOFError("no such frame")
        if frame < self._shown:
            self._shown, self._restored = -1, None
        self._wanted = frame

    def load(self) -> Any:
        """Compose the frames up to the chosen one."""
        if self._shown < self._wanted:
            while self._shown < self._wanted:
                self._show_next()
            shown = self._canvas.convert(self._shown_mode())
            self.im, self._mode = shown.im, shown.mode
        return super().load()

    def _shown_mode(self) -> str:
        is_opaque = self._canvas.getchannel("A").getextrema()[0] == _OPAQUE
        return ("L" if self._is_grey else "RGB") + ("" if is_opaque else "A")

    def _show_next(self) -> None:
        """Undo the frame before as it asks for, and lay the next one over the canvas."""
        if self._shown < 0:
            self._canvas = Image.new("RGBA", self._size)  # not before its size is known to be within the limits
        else:
            self._dispose(self._frames[self._shown])
        self._shown += 1
        frame = self._frames[self._shown]
        # There is nothing before the first frame that could be shown again.
        if frame.disposal == _TO_PREVIOUS and self._shown > self._frames[0].is_alone:
            self._restored = self._canvas.copy()
        picture = widen(PngImageFile(BytesIO(self._alone(frame)))).convert("RGBA")
        if frame.blend == _OVER:
            self._canvas.alpha_composite(picture, frame.box[:2])
        else:
            self._canvas.paste(picture, frame.box[:2])

    def _dispose(self, frame: _Frame) -> None:
        if self._restored is not None:
            self._canvas, self._restored = self._restored, None
        elif frame.is_alone or frame.disposal in {_TO_TRANSPARENT, _TO_PREVIOUS}:
            left, top, width, height = frame.box
            self._canvas.paste((0, 0, 0, 0), (left, top, left + width, top + height))

    def _alone(self, frame: _Frame) -> bytes:
        """Return a file that holds one frame, which fills its canvas."""
        header = written(b"IHDR", struct.pack(">2I", *frame.box[2:]) + self._header[8:])
        pixels = b"".join(written(b"IDAT", chunk.pixels) for chunk in frame.data)
        return SIGNATURE + header + self._common + pixels + written(b"IEND", b"")


def _frames(found: list[Chunk], size: tuple[int, int]) -> list[_Frame]:
    """Return the pictures in the order of the file; raise SyntaxError for one that lies beyond the canvas."""
    frames: list[_Frame] = []
    control: _Frame | None = None
    for chunk in found:
        if chunk.kind == b"fcTL" and chunk.length == _CONTROL_BYTES:
            control = _controlled(chunk, size)
        elif chunk.kind in {b"IDAT", b"fdAT"}:
            if control is not None or not frames:
                frames.append(control or _Frame((0, 0, *size), is_alone=True))
                control = None
            frames[-1].data.append(chunk)
    if not frames:
        raise SyntaxError("no frame")
    return frames


def _controlled(chunk: Chunk, size: tuple[int, int]) -> _Frame:
    width, height, left, top = struct.unpack_from(">4I", chunk.body, 4)
    if left + width > size[0] or top + height > size[1]:
        raise SyntaxError("a frame beyond its canvas")
    return _Frame((left, top, width, height), chunk.body[24], chunk.body[25])
