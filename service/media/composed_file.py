"""An animation whose frames are laid over each other as browsers do it: what is covered by none is transparent.

Pillow fills what no frame covers, or a frame has left, with a colour, which browsers show nowhere. It decodes each
frame here, as a file of its own.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from PIL import Image
from PIL.ImageFile import ImageFile

from service.media.sizes import Size

_CLEAR = (0, 0, 0, 0)
_OPAQUE = 255


class Frame(Protocol):
    """A frame of an animation."""

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height on the canvas."""

    @property
    def clears(self) -> bool:
        """Its place is transparent after it."""

    @property
    def restores(self) -> bool:
        """What was there before is shown again after it; this counts before `clears`."""


class ComposedFile(ImageFile):
    """An animation that composes its frames, and seeks forwards and backwards; a format lays one frame."""

    _colours = "RGB"
    """Mode of a frame without opacity."""

    def _start(self, size: Size, frames: Sequence[Frame]) -> None:
        """Take the frames, at least one; nothing is decoded, and no canvas is made before its size is checked."""
        self._size = size
        self._mode = "RGBA"
        self.tile = []
        self._placed = frames
        self.n_frames = len(frames)
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
            is_opaque = self._canvas.getchannel("A").getextrema()[0] == _OPAQUE
            shown = self._canvas.convert(self._colours + ("" if is_opaque else "A"))
            self.im, self._mode = shown.im, shown.mode
        return super().load()

    def _show_next(self) -> None:
        """Undo the frame before as it asks for, and lay the next one over the canvas."""
        if self._shown < 0:
            self._canvas = Image.new("RGBA", self._size)
        else:
            self._undo(self._placed[self._shown])
        self._shown += 1
        if self._placed[self._shown].restores:
            self._restored = self._canvas.copy()
        self._lay(self._shown, self._canvas)

    def _undo(self, frame: Frame) -> None:
        if self._restored is not None:
            self._canvas, self._restored = self._restored, None
        elif frame.clears:
            left, top, width, height = frame.box
            self._canvas.paste(_CLEAR, (left, top, left + width, top + height))

    def _lay(self, number: int, canvas: Image.Image) -> None:
        """Lay one frame over the canvas, which is RGBA."""
        raise NotImplementedError
