"""Pure: a fetch's answer → its record batches, each checked and unpacked within a limit, for aiokafka to read."""

import struct
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch

from service.core.errors import RejectedError
from service.kafka.decompression import UnpackError, UnpackLimitError, unpack
from service.kafka.errors import BatchTooLargeError, RecordUnreadableError

HEADER_BYTES = 61
"""Size of a batch's header in version 2 of the format: all before its records."""

_FRAME = struct.Struct(">qi")
_MAGIC_AT = 16
_V2 = 2
_ATTRIBUTES = struct.Struct(">h")
_ATTRIBUTES_AT = 21
_LAST_OFFSET_DELTA_AT = 23
_COUNT_AT = 57
_INT32 = struct.Struct(">i")
_CODEC_MASK = 0x07

_LEGACY_ATTRIBUTES_AT = 17
_LEGACY_MIN_BYTES = 34
"""Smallest record of version 1, without key and value. In version 0 it has 8 bytes less."""

ParsedBatch: TypeAlias = DefaultRecordBatch | LegacyRecordBatch


class BatchBrokenError(Exception):
    """A batch cannot be read from some record on. The consumer handles this error itself."""

    def __init__(self, detail: str, error: type[RejectedError] = RecordUnreadableError) -> None:
        super().__init__(detail)
        self.error = error


class Batch(NamedTuple):
    """One batch of records in a fetch's answer."""

    offset: int
    """First offset of the batch. In the versions 0 and 1 it is the last."""
    data: memoryview
    following: int | None = None
    """The offset of the batch behind it in the answer; None for the last one."""

    @property
    def magic(self) -> int:
        """The version of the batch's format."""
        return self.data[_MAGIC_AT] if len(self.data) > _MAGIC_AT else 0

    @property
    def is_current(self) -> bool:
        """Whether the batch has format version 2, whose header can be read."""
        return self.magic == _V2 and len(self.data) >= HEADER_BYTES

    @property
    def record_count(self) -> int:
        """The number of records in the header; 1 for formats other than version 2, whose header is not read further."""
        return 1 if not self.is_current else _int32(self.data, _COUNT_AT)

    @property
    def guessed_last(self) -> int:
        """The last offset that the batch surely spans, although its header may be damaged."""
        if not self.is_current:
            return self.offset
        return self.offset + max(min(_int32(self.data, _LAST_OFFSET_DELTA_AT), self.record_count - 1), 0)


def split(answer: bytes) -> Iterator[Batch]:
    """Yield the batches of an answer, the first one in any case and the last one only if the answer holds it whole."""
    view, position = memoryview(answer), 0
    while position + _FRAME.size <= len(answer):
        offset, length = _FRAME.unpack_from(answer, position)
        end = position + _FRAME.size + max(length, 0)
        if end > len(answer) and position:
            return
        following = _FRAME.unpack_from(answer, end)[0] if end + _FRAME.size <= len(answer) else None
        yield Batch(offset, view[position:end], following)
        position = end


def parse(batch: Batch) -> ParsedBatch:
    """Return a batch as aiokafka's type, with its header read; raises `BatchBrokenError` for an unreliable header."""
    _, length = _FRAME.unpack_from(batch.data)
    if batch.magic > _V2:
        raise BatchBrokenError(f"unknown message format {batch.magic}")
    if len(batch.data) != _FRAME.size + length or len(batch.data) < _min_bytes(batch.magic):
        raise BatchBrokenError(f"{len(batch.data)} bytes are no batch whose length says {length}")
    parsed = DefaultRecordBatch(batch.data) if batch.magic == _V2 else LegacyRecordBatch(batch.data, batch.magic)
    if not parsed.validate_crc():
        raise BatchBrokenError("the checksum of the batch does not fit")
    return parsed


def unpacked(batch: Batch, *, limit_bytes: int) -> memoryview:
    """Return a batch with its records unpacked and a header that says so; raises `BatchBrokenError`."""
    if not batch.is_current:
        if batch.data[_LEGACY_ATTRIBUTES_AT] & _CODEC_MASK:
            raise BatchBrokenError(f"compressed records of the message format {batch.magic} are not read")
        return batch.data
    (attributes,) = _ATTRIBUTES.unpack_from(batch.data, _ATTRIBUTES_AT)
    records = batch.data[HEADER_BYTES:]
    if not attributes & _CODEC_MASK or not len(records):
        return batch.data
    try:
        plain = unpack(attributes & _CODEC_MASK, records, limit_bytes=limit_bytes, head_bytes=HEADER_BYTES)
    except UnpackLimitError:
        detail = f"its {len(records)} bytes unpack to more than the {limit_bytes} of kafka.max_batch_bytes"
        raise BatchBrokenError(detail, BatchTooLargeError) from None
    except UnpackError as error:
        raise BatchBrokenError(str(error)) from None
    plain[:HEADER_BYTES] = batch.data[:HEADER_BYTES]
    _ATTRIBUTES.pack_into(plain, _ATTRIBUTES_AT, attributes & ~_CODEC_MASK)
    return memoryview(plain)


def _min_bytes(magic: int) -> int:
    return HEADER_BYTES if magic == _V2 else _LEGACY_MIN_BYTES - 8 * (magic == 0)


def _int32(data: memoryview, position: int) -> int:
    number: int = _INT32.unpack_from(data, position)[0]
    return number
