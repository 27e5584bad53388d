"""Answers of a broker, as the consumer reads them."""

import gzip
from collections.abc import Sequence

from aiokafka import TopicPartition
from aiokafka.codec import lz4_encode, snappy_encode, zstd_encode

from service.core.records import SourceRecord
from service.kafka.fetched_records import Answer, DamagedBatches, FetchedRecords
from testing.raw_batches import GZIP, LZ4, SNAPPY, ZSTD, RawBatch

PARTITION = TopicPartition("images.uploaded", 3)
LIMIT = 100_000
"""Of a batch, unpacked."""


class CertainDamage(DamagedBatches):
    """Takes every damaged batch for one that came damaged before."""

    def is_repeated(self, partition: TopicPartition, offset: int) -> bool:
        return True


def compress(codec: int, data: bytes) -> bytes:
    """Return data as a producer packs it."""
    encoders = {GZIP: gzip.compress, SNAPPY: snappy_encode, LZ4: lz4_encode, ZSTD: zstd_encode}
    return bytes(encoders[codec](data))


def fetched(
    *batches: RawBatch | bytes,
    position: int = 0,
    aborted: Sequence[tuple[int, int]] = (),
    log_end: int | None = None,
    damaged: DamagedBatches | None = None,
) -> FetchedRecords:
    """Return what iterates over an answer to a fetch from a position; damage is believed the first time."""
    answer = Answer(b"".join(map(bytes, batches)))
    return FetchedRecords(
        PARTITION, answer, list(aborted), position, None, None, True, 1, max_batch_bytes=LIMIT,
        log_end=lambda _: log_end, damaged=damaged or CertainDamage(),
    )  # fmt: skip


def read_all(records: FetchedRecords) -> list[SourceRecord]:
    """Read to the end; aiokafka's own place must stand behind each record as it is handed out."""
    found = []
    for each in records:
        found.append(each)
        assert records.next_fetch_offset == found[-1].last_offset + 1
    return found


def read(*batches: RawBatch | bytes, position: int = 0) -> list[SourceRecord]:
    """Read an answer to its end."""
    return read_all(fetched(*batches, position=position))
