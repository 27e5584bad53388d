"""What a fetch answered for one partition, record by record: every offset leads on, whatever lies there.

aiokafka's own iterator gives up the answer over one record that it cannot read, and meets it again for ever.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatch

from service.core.records import MAX_HEADERS_KEPT, SourceRecord, Unreadable
from service.kafka.errors import BatchTooLargeError, RecordUnreadableError
from service.kafka.record_batches import HEADER_BYTES, Batch, BatchBrokenError, ParsedBatch, parse, split, unpacked
from service.kafka.record_salvage import Cursor, LooseRecord, RecordBrokenError, read_loosely

log = structlog.get_logger(__name__)

_MAX_DEAD_LETTERS = 1000
"""An unreadable batch becomes a dead letter for each offset up to so many, and a single one beyond: a few bytes may
claim to hold two billion records."""

_MAX_RAW_BYTES = 1024 * 1024
"""Bytes of an unreadable batch that are kept for diagnosis: the brokers' default message size."""

_NO_TIME = -1
"""Kafka's timestamp of what has none."""

_INT64_HALF = 2**63
"""Timestamps are 64-bit integers; a sum that does not fit wraps around, in brokers and in aiokafka's own reader."""


class Answer:
    """The bytes that a broker answered for one partition; stands in for aiokafka's `MemoryRecords`."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def has_next(self) -> bool:
        """Whether the answer has bytes to read."""
        return bool(self.data)

    def size_in_bytes(self) -> int:
        """Return the size of the answer in bytes."""
        return len(self.data)


class DamagedBatches:
    """Where batches came damaged: such a one is fetched a second time before it is given up.

    The damage may have come about on the way, in a broker's memory, or on the disk of one that leads no longer.
    """

    def __init__(self) -> None:
        self._offsets: dict[TopicPartition, int] = {}

    def is_repeated(self, partition: TopicPartition, offset: int) -> bool:
        """Record damage that a fetch met from an offset; return True if the fetch before met it there too."""
        if self._offsets.pop(partition, None) == offset:
            return True
        self._offsets[partition] = offset
        return False


@dataclass(slots=True)
class _Place:
    """How far a batch was read."""

    base: int
    read: int
    """Records."""
    previous: int
    """The offset of the last of them."""
    last: int
    """The batch's last offset."""
    is_whole: bool
    """Whether it has a record for each of its offsets, as a producer sends it; compaction takes some out."""

    def next_offset(self, record: LooseRecord) -> tuple[int, str]:
        """Return a record's offset and what is wrong with it; with a wrong offset it takes the next.

        Raises `RecordBrokenError` where there is none left.
        """
        if self.previous >= self.last:
            raise RecordBrokenError("no offset left")
        stated = self.base + record.offset_delta if record.offset_delta is not None else None
        following = self.previous + 1
        is_right = stated == following or (not self.is_whole and stated is not None and following < stated <= self.last)
        self.read += 1
        self.previous = stated if stated is not None and is_right else following
        if is_right or record.detail:
            return self.previous, record.detail
        return self.previous, f"the offset {stated} where {following} comes next"


class FetchedRecords(PartitionRecords):  # type: ignore[misc]  # aiokafka ships no types
    """Iterates over an answer; yields what the service works with at once, which is half the cost of a record.

    Ends before a batch that is damaged, which is fetched anew; if it comes damaged again, behind it, because its length
    may be wrong too. Ends behind one that is too large, because a poll must not unpack one bomb after another. What
    follows is fetched anew.
    """

    def __init__(
        self,
        tp: TopicPartition,
        answer: Answer,
        *arguments: Any,
        max_batch_bytes: int,
        log_end: Callable[[TopicPartition], int | None],
        damaged: DamagedBatches,
    ) -> None:
        self._max_batch_bytes = max_batch_bytes
        self._damaged = damaged
        self._log_end = log_end
        self.next_fetch_offset: int
        super().__init__(tp, answer, *arguments)

    @property
    def held_bytes(self) -> int:
        """The bytes of the answer, which stay in memory until all records are read."""
        return len(self._records.data)

    def _unpack_records(self) -> Iterator[SourceRecord]:
        for batch in split(self._records.data):
            try:
                parsed = parse(batch)
            except BatchBrokenError as error:
                if not self._damaged.is_repeated(self._tp, self.next_fetch_offset):
                    log.warning("batch.damaged", topic=self._tp.topic, partition=self._tp.partition, error=error)
                    return
                damaged = batch._replace(offset=self._plausible(batch.offset))
                last = max(damaged.guessed_last, self.next_fetch_offset)
                yield from self._unreadable(damaged, last, _NO_TIME, error)
                return
            last = parsed.next_offset - 1
            if batch.following is not None and last >= batch.following:
                last = batch.following - 1  # else it would pass over records that are there
            last = max(last, batch.offset)
            try:
                if not self._holds_no_records(parsed):
                    yield from self._records_of(batch, parsed, last)
            except BatchBrokenError as error:
                yield from self._unreadable(batch, last, parsed.max_timestamp if batch.is_current else _NO_TIME, error)
                if error.error is BatchTooLargeError:
                    return
            self._pass(last)

    def _pass(self, last: int) -> None:
        """Go on behind a batch, though not beyond the end of the log: brokers answer that with its beginning."""
        end = self._log_end(self._tp)
        self.next_fetch_offset = max(self.next_fetch_offset, last + 1 if end is None else min(last + 1, end))

    def _plausible(self, offset: int) -> int:
        """Return what a header that may be damaged says, or the offset that was asked for where there is no such."""
        end = self._log_end(self._tp)
        return offset if end is None or offset < end else self.next_fetch_offset

    def _holds_no_records(self, batch: ParsedBatch) -> bool:
        """Recognise control batches and aborted ones, and keep track of aborted transactions."""
        if self._isolation_level == READ_COMMITTED and batch.producer_id is not None:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch:
                # Whatever a marker says, with it the producer's transaction is over.
                self._aborted_producers.discard(batch.producer_id)
            elif batch.is_transactional and batch.producer_id in self._aborted_producers:
                return True
        return bool(batch.is_control_batch)

    def _records_of(self, batch: Batch, parsed: ParsedBatch, last: int) -> Iterator[SourceRecord]:
        plain = unpacked(batch, limit_bytes=self._max_batch_bytes)
        count, offsets = batch.record_count, last - batch.offset + 1
        if count > offsets:
            raise BatchBrokenError(f"{count} records claim {offsets} offsets")
        if count == 0 and len(plain) == HEADER_BYTES:
            return  # what compaction leaves of a batch
        is_whole = count == offsets
        read, previous = 0, batch.offset - 1
        topic, partition = self._tp
        try:
            for expected, record in enumerate(
                parsed if plain is batch.data else DefaultRecordBatch(plain), batch.offset
            ):
                offset = record.offset
                if offset != expected and (is_whole or not previous < offset <= last):
                    break
                read, previous = read + 1, offset
                if offset >= self.next_fetch_offset:
                    self.next_fetch_offset = offset + 1
                    headers, time_ms = record.headers, record.timestamp
                    yield SourceRecord(
                        topic,
                        partition,
                        offset,
                        _NO_TIME if time_ms is None else time_ms,
                        record.key,
                        record.value,
                        tuple(headers if len(headers) <= MAX_HEADERS_KEPT else headers[:MAX_HEADERS_KEPT]),
                        record.timestamp_type or 0,
                    )
            else:
                return
        except Exception as error:  # noqa: BLE001 - a dozen kinds, down to MemoryError over a wrong length
            if not batch.is_current:
                raise BatchBrokenError(f"{type(error).__name__} in a record of message format {batch.magic}") from None
        yield from self._read_loosely(batch, parsed, plain, _Place(batch.offset, read, previous, last, is_whole))

    def _read_loosely(
        self, batch: Batch, parsed: ParsedBatch, plain: memoryview, place: _Place
    ) -> Iterator[SourceRecord]:
        """Go on behind the records that were read; raises `BatchBrokenError` where no next one can be found."""
        cursor = Cursor(plain, HEADER_BYTES)
        try:
            cursor.skip(place.read)
            while place.read < batch.record_count:
                body = cursor.take(cursor.varint())
                record = read_loosely(body)
                offset, detail = place.next_offset(record)
                if offset >= self.next_fetch_offset:
                    self.next_fetch_offset = offset + 1
                    salvaged = self._salvaged(record, offset, _time_of(record, parsed), body, detail)
                    yield salvaged._replace(timestamp_type=parsed.timestamp_type or 0)
        except RecordBrokenError as error:
            raise BatchBrokenError(f"record {place.read} of the batch has {error}") from None
        if cursor.left:
            raise BatchBrokenError(f"{cursor.left} bytes follow the last of its {batch.record_count} records")

    def _salvaged(
        self, record: LooseRecord, offset: int, timestamp_ms: int, body: memoryview, detail: str
    ) -> SourceRecord:
        place = (self._tp.topic, self._tp.partition, offset, timestamp_ms)
        headers = record.headers[:MAX_HEADERS_KEPT]
        if not detail:
            return SourceRecord(*place, record.key, record.value, headers)
        if record.has_value:
            unreadable = Unreadable(RecordUnreadableError, detail, offset)
            return SourceRecord(*place, record.key, record.value, headers, unreadable=unreadable)
        unreadable = Unreadable(RecordUnreadableError, detail, offset, raw="record")
        return SourceRecord(*place, record.key, bytes(body[:_MAX_RAW_BYTES]), (), unreadable=unreadable)

    def _unreadable(
        self, batch: Batch, last: int, timestamp_ms: int, error: BatchBrokenError
    ) -> Iterator[SourceRecord]:
        """Yield what stands for the offsets of a batch that were not yielded yet."""
        first = max(self.next_fetch_offset, min(batch.offset, last) if batch.is_current else 0)
        end = self._log_end(self._tp)
        last = last if end is None else min(last, max(end - 1, first))
        spans_few = last - first < _MAX_DEAD_LETTERS
        raw = bytes(batch.data[:_MAX_RAW_BYTES])
        for offset in range(first, last + 1) if spans_few else (first,):
            until = offset if spans_few else last
            self.next_fetch_offset = until + 1
            unreadable = Unreadable(error.error, str(error), until, raw="batch", raw_offsets=f"{first}-{last}")
            yield SourceRecord(
                self._tp.topic, self._tp.partition, offset, timestamp_ms, None, raw, (), unreadable=unreadable
            )
            raw = b""  # once is enough


def _time_of(record: LooseRecord, batch: ParsedBatch) -> int:
    stamp: int = batch.max_timestamp if batch.timestamp_type else batch.first_timestamp + record.timestamp_delta
    return (stamp + _INT64_HALF) % (2 * _INT64_HALF) - _INT64_HALF
