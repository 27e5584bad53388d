"""Bytes that arrived and are not parsed yet. Whole pieces pass through without being copied."""

import re

_HEAD_END = re.compile(rb"\n\r?\n")
_HTTP = b"HTTP/"
_LINE_ENDS = (b"\r", b"\n")


class ReadAhead:
    """A queue of bytes with a look at its front."""

    def __init__(self) -> None:
        self._bytes: bytes | bytearray = b""
        self._from = 0
        self._searched_to = 0

    def __len__(self) -> int:
        return len(self._bytes) - self._from

    def add(self, data: bytes) -> None:
        """Append bytes."""
        if not self:
            self.clear()
            self._bytes = data
            return
        if self._from or not isinstance(self._bytes, bytearray):
            self._bytes = bytearray(memoryview(self._bytes)[self._from :])
            self._from, self._searched_to = 0, max(0, self._searched_to - self._from)
        self._bytes += data

    def take(self, size: int) -> bytes:
        """Remove so many bytes from the front, or all if there are fewer, and return them."""
        if not self._from and size >= len(self._bytes):
            taken = self._bytes
            self.clear()
        else:
            taken = self._bytes[self._from : self._from + size]
            self._from += len(taken)
            self._searched_to = max(self._searched_to, self._from)
        return bytes(taken)

    def clear(self) -> None:
        """Remove everything."""
        self._bytes, self._from, self._searched_to = b"", 0, 0

    def end_of_head(self) -> int:
        """Return the size of the HTTP head at the front, its blank line included; 0 if it is not complete."""
        found = _HEAD_END.search(self._bytes, self._searched_to)
        if found is None:
            # The blank line may be under way: two of its three bytes may be here.
            self._searched_to = max(self._from, len(self._bytes) - 2)
            return 0
        return found.end() - self._from

    def begins_with(self, pattern: re.Pattern[bytes]) -> bool:
        """Return whether the front matches a pattern."""
        return pattern.match(self._bytes, self._from) is not None

    def is_http(self) -> bool:
        """Return whether the front can begin an HTTP/1 answer, perhaps after line ends left by older servers."""
        front = bytes(self._bytes[self._from : self._from + len(_HTTP)])
        return _HTTP.startswith(front) or front.startswith(_LINE_ENDS)
