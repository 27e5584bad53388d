"""Pure: one record of the format's version 2, read as far as it can be: what aiokafka refuses is salvaged here."""

from typing import NamedTuple

from service.core.records import Headers

_MAX_VARINT_BYTES = 10
_MAX_NAME_CHARS = 50
"""Characters of a header's name that a message shows."""


class RecordBrokenError(Exception):
    """The bytes are no record."""


class LooseRecord(NamedTuple):
    """The parts of a record that could be read before the first fault."""

    offset_delta: int | None = None
    timestamp_delta: int = 0
    key: bytes | None = None
    value: bytes | None = None
    has_value: bool = False
    """Whether key and value were read, be they null."""
    headers: Headers = ()
    detail: str = ""
    """What is wrong with it, empty when nothing is."""


class Cursor:
    """Reads types of Kafka's protocol from bytes, never beyond their end."""

    def __init__(self, data: memoryview, position: int = 0) -> None:
        self._data = data
        self.position = position

    @property
    def left(self) -> int:
        """The number of bytes that have not been read."""
        return len(self._data) - self.position

    def varint(self) -> int:
        """Return a number of variable length; raises `RecordBrokenError`."""
        bits = 0
        for n, byte in enumerate(self._data[self.position : self.position + _MAX_VARINT_BYTES]):
            bits |= (byte & 0x7F) << 7 * n
            if not byte & 0x80:
                self.position += n + 1
                return bits >> 1 ^ -(bits & 1)
        raise RecordBrokenError(f"no number at byte {self.position}")

    def take(self, size_bytes: int) -> memoryview:
        """Return the next bytes; raises `RecordBrokenError`."""
        if not 0 <= size_bytes <= self.left:
            raise RecordBrokenError(f"a length of {size_bytes} where {self.left} bytes are left")
        self.position += size_bytes
        return self._data[self.position - size_bytes : self.position]

    def field(self) -> bytes | None:
        """Return bytes that follow their length, None for a negative length; raises `RecordBrokenError`."""
        size_bytes = self.varint()
        return None if size_bytes < 0 else bytes(self.take(size_bytes))

    def skip(self, records: int) -> None:
        """Skip records that are known to be complete; most have lengths of one or two bytes."""
        for _ in range(records):
            self.take(self.varint())


def read_loosely(body: memoryview) -> LooseRecord:
    """Read a record, without its length, as far as it can be read."""
    cursor, record = Cursor(body), LooseRecord()
    try:
        cursor.take(1)  # attributes, of which none are in use
        record = record._replace(timestamp_delta=cursor.varint())
        record = record._replace(offset_delta=cursor.varint())
        record = record._replace(key=cursor.field())
        record = record._replace(value=cursor.field(), has_value=True)
        headers, detail = _headers(cursor)
    except RecordBrokenError as error:
        return record._replace(detail=str(error))
    if cursor.left and not detail:
        detail = f"{cursor.left} bytes follow its last header"
    return record._replace(headers=headers, detail=detail)


def _headers(cursor: Cursor) -> tuple[Headers, str]:
    """Return the headers, names that are no text escaped, and what is wrong with them."""
    count = cursor.varint()
    if not 0 <= count <= cursor.left:
        raise RecordBrokenError(f"{count} headers in {cursor.left} bytes")
    headers: list[tuple[str, bytes]] = []
    detail = ""
    for number in range(1, count + 1):
        raw, value = cursor.field(), cursor.field()
        if raw is None:
            raise RecordBrokenError(f"header {number} has no name")
        name = raw.decode(errors="backslashreplace")
        if not detail and not _is_text(raw):
            detail = f"the name of header {number} is not UTF-8: {name[:_MAX_NAME_CHARS]}"
        headers.append((name, value))  # type: ignore[arg-type]  # null values are part of the protocol
    return tuple(headers), detail


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
