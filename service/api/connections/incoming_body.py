"""The body of a request while it arrives: its framing, its size, and how much of it to parse at once. Pure."""

from collections.abc import Sequence

from service.api.connections.connection_errors import BodyTooLargeError, MalformedError

# Sizes of chunks, their extensions, and trailers: so much, and a share of the body. Usual chunks have kilobytes; lines
# of a batch, sent one by one, a hundred bytes.
MAX_FRAMING_BYTES = 8 * 1024
FRAMING_SHARE = 1 / 4

# Chunks of one byte make parsing the smaller one take some milliseconds. It grows with what came in usual chunks.
_CHUNKED_PIECE = 8 * 1024
_MAX_CHUNKED_PIECE = 32 * 1024
_PLAIN_PIECE = 256 * 1024


class IncomingBody:
    """One body, from its headers to its end."""

    def __init__(self, headers: Sequence[tuple[bytes, bytes]], max_bytes: int | None) -> None:
        """`max_bytes` is None where the route takes any; raises `MalformedError` or `BodyTooLargeError`.

        The names of the headers are in lower case, and a parser has compared lengths and codings with each other.
        """
        codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
        lengths = [value.strip() for name, value in headers if name == b"content-length"]
        if codings not in ([], [b"chunked"]):
            raise MalformedError
        self._is_chunked = bool(codings)
        self._max_bytes = max_bytes
        self.is_bounded = max_bytes is not None
        self._fed_bytes = 0
        self._framing_bytes = 0
        # Python reads no more than 4,300 digits, and zeros count.
        self.length = int(lengths[0].lstrip(b"0") or b"0") if lengths else 0
        """Bytes by Content-Length; 0 without."""
        self.bytes = 0
        """Bytes that arrived."""
        self._check(self.length)

    def next_piece(self) -> int:
        """Return how many bytes to parse next; none of them belongs to another request unless chunks end early."""
        if self._is_chunked:
            return min(_MAX_CHUNKED_PIECE, _CHUNKED_PIECE + self.bytes)
        return min(_PLAIN_PIECE, self.length - self.bytes)

    def add(self, size_bytes: int) -> None:
        """Count bytes of the body itself; raises `BodyTooLargeError`."""
        self.bytes += size_bytes
        self._check(self.bytes)

    def add_piece(self, size_bytes: int) -> int:
        """Count a parsed piece, and return how many bytes in it were around chunks."""
        self._fed_bytes += size_bytes
        added_bytes = self._fed_bytes - self.bytes - self._framing_bytes
        self._framing_bytes += added_bytes
        return added_bytes

    def check_framing(self) -> None:
        """Raise `MalformedError` if there is too much around too small chunks."""
        if self._framing_bytes > MAX_FRAMING_BYTES + FRAMING_SHARE * self.bytes:
            raise MalformedError

    def _check(self, size_bytes: int) -> None:
        if self._max_bytes is not None and size_bytes > self._max_bytes:
            raise BodyTooLargeError(max_bytes=self._max_bytes)
