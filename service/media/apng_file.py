"""An animated PNG: its frames, of which Pillow decodes each as a file of its own, and mixes none."""

import struct
from dataclasses import dataclass, field
from io import BytesIO

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from service.media.colours import widen
from service.media.composed_file import ComposedFile
from service.media.prepare.png_chunks import SIGNATURE, Chunk, chunks, written

_HEADER_BYTES, _CONTROL_BYTES = 13, 26
_GREYS = (0, 4)
_FOR_ALL = (b"PLTE", b"tRNS")
_TO_TRANSPARENT, _TO_PREVIOUS = 1, 2
_OVER = 1


@dataclass(slots=True)
class _Frame:
    box: tuple[int, int, int, int]
    """Left, top, width and height on the canvas."""
    clears: bool = True
    restores: bool = False
    blend: int = 0
    data: list[Chunk] = field(default_factory=list)


class OpenApngFile(ComposedFile):
    """An animated PNG with its frames in L or RGB, or with an alpha channel where something shows through."""

    format = "PNG"

    def _open(self) -> None:
        data = self.fp.read() if self.fp else b""
        header, *others = chunks(data)
        if header.length != _HEADER_BYTES:
            raise SyntaxError("no header")
        self._header = bytes(header.body)
        self._common = b"".join(written(chunk.kind, chunk.body) for chunk in others if chunk.kind in _FOR_ALL)
        size = struct.unpack_from(">2I", self._header)
        self._frames = _frames(others, size)
        self._colours = "L" if self._header[9] in _GREYS else "RGB"
        self._start(size, self._frames)

    def _lay(self, number: int, canvas: Image.Image) -> None:
        frame = self._frames[number]
        picture = widen(PngImageFile(BytesIO(self._alone(frame)))).convert("RGBA")
        if frame.blend == _OVER:
            canvas.alpha_composite(picture, frame.box[:2])
        else:
            canvas.paste(picture, frame.box[:2])

    def _alone(self, frame: _Frame) -> bytes:
        """Return a file that holds one frame, which fills its canvas."""
        header = written(b"IHDR", struct.pack(">2I", *frame.box[2:]) + self._header[8:])
        pixels = b"".join(written(b"IDAT", chunk.pixels) for chunk in frame.data)
        return SIGNATURE + header + self._common + pixels + written(b"IEND", b"")


def _frames(found: list[Chunk], size: tuple[int, int]) -> list[_Frame]:
    """Return the pictures in the order of the file; raise SyntaxError for one that lies beyond the canvas."""
    frames: list[_Frame] = []
    control: _Frame | None = None
    first: _Frame | None = None
    for chunk in found:
        if chunk.kind == b"fcTL" and chunk.length == _CONTROL_BYTES:
            control = _controlled(chunk, size, is_first=first is None)
            first = first or control
        elif chunk.kind in {b"IDAT", b"fdAT"}:
            if control is not None or not frames:
                # A picture that is no part of the animation, for viewers that have none, is cleared.
                frames.append(control or _Frame((0, 0, *size)))
                control = None
            frames[-1].data.append(chunk)
    if not frames:
        raise SyntaxError("no frame")
    return frames


def _controlled(chunk: Chunk, size: tuple[int, int], *, is_first: bool) -> _Frame:
    width, height, left, top = struct.unpack_from(">4I", chunk.body, 4)
    if left + width > size[0] or top + height > size[1]:
        raise SyntaxError("a frame beyond its canvas")
    disposal, blend = chunk.body[24:26]
    # There is nothing before the first frame that could be shown again.
    restores = disposal == _TO_PREVIOUS and not is_first
    return _Frame((left, top, width, height), disposal in {_TO_TRANSPARENT, _TO_PREVIOUS}, restores, blend)
