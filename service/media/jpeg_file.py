"""A JPEG that may end before its picture does, and of which is known where it ends."""

from PIL.JpegImagePlugin import JpegImageFile

# The marker of the end. libjpeg takes what is missing before it for grey; browsers leave it blank.
_END = b"\xff\xd9"


class OpenJpegFile(JpegImageFile):
    """Pillow's JPEG, which decodes a file that is cut off as browsers do, and says so."""

    is_cut_off = False
    """Whether the decoder asked for more than the file has."""
    may_be_reduced = True
    """Whether `draft` may choose a smaller size, in which detail is left out of the coefficients."""
    last_block_at = 0
    """Where the last block begins that the decoder read: the picture's end mark ends in it."""

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Choose a smaller size to decode to, if the file may be reduced."""
        return super().draft(mode, size) if self.may_be_reduced else None

    def load_read(self, read_bytes: int) -> bytes:
        """Return the next block, and one end mark behind the last."""
        data: bytes = super().load_read(read_bytes)
        if data or self.is_cut_off:
            if self.fp is not None:
                self.last_block_at = self.fp.tell() - len(data)
            return data
        self.is_cut_off = True
        return _END
