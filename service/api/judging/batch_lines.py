"""The lines of a body that arrives in parts of any size. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """One line that is not empty."""

    number: int
    """Counted from 1, with empty lines."""
    data: bytes | None
    """The line without white space around it; None for one that is longer than the limit."""

    @property
    def size_bytes(self) -> int:
        """What the line takes in memory."""
        return len(self.data or b"")


class LineSplitter:
    """Splits parts into lines and holds no more than one line of the largest size."""

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` bounds a line; the bytes of a longer one are dropped as they come."""
        self._max_bytes = max_bytes
        self._begun = bytearray()
        self._is_too_long = False
        self._number = 0

    def feed(self, part: bytes) -> Iterator[Line]:
        """Yield the lines that end in a part; take all of them before the next part."""
        begin = 0
        while (end := part.find(b"\n", begin)) >= 0:
            self._keep(part[begin:end])
            yield from self._ended()
            begin = end + 1
        self._keep(part[begin:])

    def end(self) -> Iterator[Line]:
        """Yield the last line where no line break ends it."""
        if self._begun or self._is_too_long:
            yield from self._ended()

    def _keep(self, piece: bytes) -> None:
        if self._is_too_long or len(self._begun) + len(piece) > self._max_bytes:
            self._is_too_long = True
            self._begun.clear()
        else:
            self._begun += piece

    def _ended(self) -> Iterator[Line]:
        self._number += 1
        data = None if self._is_too_long else bytes(self._begun)
        self._is_too_long = False
        self._begun.clear()
        if data is not None and self._number == 1:
            data = data.removeprefix(_BYTE_ORDER_MARK)
        if data is None or (data := data.strip()):
            yield Line(self._number, data)
