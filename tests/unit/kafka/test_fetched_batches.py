"""A batch that cannot be read, or should not be: each of its offsets leads on, and so does the partition."""

import struct
from dataclasses import replace

import cramjam
import pytest
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from service.kafka.errors import BatchTooLargeError, RecordUnreadableError
from service.kafka.fetched_records import DamagedBatches
from testing.fetched import LIMIT, compress, fetched, read, read_all
from testing.raw_batches import (
    CONTROL,
    GZIP,
    LZ4,
    SNAPPY,
    TRANSACTIONAL,
    ZSTD,
    RawBatch,
    batch_of,
    record,
    varint,
)


def test_bytes_behind_a_gzip_stream_are_ignored_as_brokers_do() -> None:
    packed = compress(GZIP, record(0, b"v0") + record(1, b"v1")) + b"trailing"

    records = read(RawBatch(records=packed, count=2, codec=GZIP))

    assert [(each.value, each.unreadable) for each in records] == [(b"v0", None), (b"v1", None)]


def test_several_gzip_members_are_read_as_one() -> None:
    packed = compress(GZIP, record(0, b"v0")) + compress(GZIP, record(1, b"v1"))

    assert [each.value for each in read(RawBatch(records=packed, count=2, codec=GZIP))] == [b"v0", b"v1"]


def test_thousands_of_gzip_members_are_refused() -> None:
    packed = compress(GZIP, record(0, b"v0")) + compress(GZIP, b"") * 50_000

    (only,) = read(RawBatch(records=packed, count=1, codec=GZIP))

    assert only.unreadable
    assert "more than 64 members" in only.unreadable.detail


BROKEN = {
    "codec": RawBatch(records=b"zzz", count=3, codec=7),
    "gzip": RawBatch(records=b"zzz", count=3, codec=GZIP),
    "snappy": RawBatch(records=b"zzz", count=3, codec=SNAPPY),
    "lz4": RawBatch(records=b"zzz", count=3, codec=LZ4),
    "zstd": RawBatch(records=b"zzz", count=3, codec=ZSTD),
    "crc": replace(batch_of(b"a", b"b", b"c"), crc=1),
    "count too high": replace(batch_of(b"a"), count=3),
    "count too low": replace(batch_of(b"a", b"b", b"c"), count=0, last_delta=2),
    "count below zero": replace(batch_of(b"a", b"b", b"c"), count=-5, last_delta=2),
    "no record": RawBatch(records=b"", count=3),
    "no compressed record": RawBatch(records=b"", count=3, codec=ZSTD),
    "length below zero": RawBatch(records=varint(-7) + bytes(20), count=3),
    "endless varint": RawBatch(records=b"\xff" * 40, count=3),
}
THREE = b"".join(record(n, b"v" * 99) for n in range(3))
BROKEN |= {
    f"{codec} cut off": RawBatch(records=compress(codec, THREE)[:-9], count=3, codec=codec)
    for codec in (GZIP, SNAPPY, LZ4, ZSTD)
}


@pytest.mark.parametrize("batch", BROKEN.values(), ids=BROKEN)
def test_a_batch_that_cannot_be_read_gives_one_outcome_for_each_of_its_offsets(batch: RawBatch) -> None:
    records = read(replace(batch, base=7))

    assert [each.offset for each in records] == [7, 8, 9]
    broken = [each for each in records if each.unreadable]
    assert broken
    assert all(each.unreadable and each.unreadable.error is RecordUnreadableError for each in broken)
    assert broken[0].value == bytes(replace(batch, base=7))
    assert [each.value for each in broken[1:]] == [b""] * (len(broken) - 1)
    assert {each.unreadable.raw_offsets for each in broken if each.unreadable} == {f"{broken[0].offset}-9"}


def test_what_lies_behind_all_records_of_a_batch_costs_no_record_its_outcome() -> None:
    batch = replace(batch_of(b"a"), records=batch_of(b"a").records + b"rest")

    records = read(batch, batch_of(b"next", base=1))

    assert [(each.value, each.unreadable) for each in records] == [(b"a", None), (b"next", None)]


def test_the_batch_behind_a_bomb_is_fetched_anew() -> None:
    bomb = RawBatch(records=compress(ZSTD, record(0, bytes(LIMIT))), count=1, codec=ZSTD)
    records = fetched(bomb, bomb)

    assert [each.offset for each in read_all(records)] == [0]
    assert records.next_fetch_offset == 1


def test_the_batch_behind_a_damaged_one_is_fetched_anew() -> None:
    records = fetched(replace(batch_of(b"a", b"b"), crc=1), batch_of(b"next", base=2))

    assert [each.offset for each in read_all(records)] == [0, 1]
    assert records.next_fetch_offset == 2


def test_a_damaged_batch_is_fetched_a_second_time_before_it_is_given_up() -> None:
    damaged, whole = DamagedBatches(), batch_of(b"b", b"c", base=1)
    broken = replace(whole, crc=1)

    first = fetched(batch_of(b"a"), broken, damaged=damaged)
    assert [each.value for each in first] == [b"a"]
    assert first.next_fetch_offset == 1
    again = fetched(broken, position=1, damaged=damaged)
    assert [(each.offset, bool(each.unreadable)) for each in again] == [(1, True), (2, True)]
    assert again.next_fetch_offset == 3


def test_a_batch_that_was_damaged_on_the_way_is_read_from_the_second_answer() -> None:
    damaged, whole = DamagedBatches(), batch_of(b"a", b"b")

    assert list(fetched(replace(whole, crc=1), damaged=damaged)) == []
    again = fetched(whole, damaged=damaged)
    assert [(each.value, each.unreadable) for each in again] == [(b"a", None), (b"b", None)]


def test_the_batch_behind_one_that_cannot_be_unpacked_is_read_from_the_same_answer() -> None:
    records = read(RawBatch(records=b"zzz", count=2, codec=ZSTD), batch_of(b"next", base=2))

    assert [(each.offset, bool(each.unreadable)) for each in records] == [(0, True), (1, True), (2, False)]


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_a_batch_that_unpacks_to_more_than_the_limit_is_not_read(codec: int) -> None:
    packed = compress(codec, record(0, bytes(LIMIT)))

    (bomb,) = read(RawBatch(records=packed, count=1, codec=codec))

    assert bomb.unreadable
    assert bomb.unreadable.error is BatchTooLargeError
    assert f"more than the {LIMIT} of kafka.max_batch_bytes" in bomb.unreadable.detail


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_a_batch_that_unpacks_to_the_limit_exactly_is_read(codec: int) -> None:
    plain = record(0, bytes(LIMIT - 20))
    plain = record(0, bytes(LIMIT - 20 + LIMIT - len(plain)))
    assert len(plain) == LIMIT

    (only,) = read(RawBatch(records=compress(codec, plain), count=1, codec=codec))

    assert only.unreadable is None


def test_snappy_without_xerials_frames_is_read() -> None:
    packed = bytes(cramjam.snappy.compress_raw(record(0, b"v0")))

    assert [each.value for each in read(RawBatch(records=packed, count=1, codec=SNAPPY))] == [b"v0"]


def test_a_batch_that_claims_billions_of_records_gives_one_outcome() -> None:
    (only,) = read(RawBatch(records=b"zzz", count=2**31 - 1, codec=ZSTD, base=5))

    assert (only.offset, only.last_offset) == (5, 5 + 2**31 - 2)
    assert only.unreadable
    assert only.unreadable.raw_offsets == f"5-{5 + 2**31 - 2}"


def test_no_claim_leads_beyond_the_end_of_the_log() -> None:
    unreadable = fetched(RawBatch(records=b"zzz", count=2**31 - 1, codec=ZSTD, base=5), position=5, log_end=8)
    readable = fetched(replace(batch_of(b"a", base=5), last_delta=2**31 - 1), position=5, log_end=8)

    assert [each.offset for each in read_all(unreadable)] == [5, 6, 7]
    assert [each.offset for each in readable] == [5]
    assert readable.next_fetch_offset == 8


def test_a_wrong_checksum_lets_no_claim_of_the_header_be_believed() -> None:
    damaged = replace(batch_of(b"a", b"b", base=5), last_delta=2**31 - 1, crc=1)

    assert [each.last_offset for each in read(damaged)] == [5, 6]


def test_a_batch_that_claims_the_offsets_of_the_next_one_hides_none_of_its_records() -> None:
    liar = replace(batch_of(b"a", b"b", base=5), last_delta=1000)

    records = read(liar, batch_of(b"c", b"d", base=7), position=5)

    assert [(each.offset, each.value) for each in records] == [(5, b"a"), (6, b"b"), (7, b"c"), (8, b"d")]


def test_an_offset_of_a_damaged_header_that_is_beyond_the_log_is_not_believed() -> None:
    damaged = fetched(replace(batch_of(b"a", base=1 << 60), crc=1), position=5, log_end=8)

    assert [each.offset for each in read_all(damaged)] == [5]


@pytest.mark.parametrize("last_delta", [-1, -(2**31), 0])
def test_a_batch_that_ends_before_its_records_does_not_lead_back(last_delta: int) -> None:
    records = fetched(replace(batch_of(b"a", b"b", base=5), last_delta=last_delta), position=5)

    assert [each.offset for each in records] == [5]
    assert records.next_fetch_offset == 6


def test_what_compaction_took_out_is_not_missed() -> None:
    emptied = RawBatch(records=b"", count=0, last_delta=9, base=0)
    thinned = RawBatch(records=record(3, b"v13") + record(5, b"v15"), count=2, last_delta=9, base=10)
    records = fetched(emptied, thinned)

    assert [(each.offset, each.unreadable) for each in records] == [(13, None), (15, None)]
    assert records.next_fetch_offset == 20


def marker(base: int, kind: int, *, value: bytes | None = None) -> RawBatch:
    key = struct.pack(">HH", 0, kind) if value is None else value
    records = record(0, b"\0" * 6, key=key)
    return RawBatch(records=records, count=1, base=base, flags=TRANSACTIONAL | CONTROL, producer_id=9)


def transactional(base: int, value: bytes) -> RawBatch:
    return replace(batch_of(value, base=base), flags=TRANSACTIONAL, producer_id=9)


@pytest.mark.parametrize("broken", [None, b"", b"x"])
def test_aborted_records_are_left_out_whatever_their_marker_holds(broken: bytes | None) -> None:
    aborted, committed = transactional(0, b"aborted"), transactional(2, b"committed")
    batches = aborted, marker(1, 0, value=broken), committed, marker(3, 1)

    records = fetched(*batches, aborted=[(9, 0)])

    assert [each.value for each in records] == [b"committed"]
    assert records.next_fetch_offset == 4


def test_an_aborted_bomb_is_not_even_looked_at() -> None:
    bomb = RawBatch(
        records=compress(ZSTD, record(0, bytes(LIMIT))), count=1, codec=ZSTD, flags=TRANSACTIONAL, producer_id=9
    )

    records = fetched(bomb, aborted=[(9, 0)])

    assert list(records) == []
    assert records.next_fetch_offset == 1


@pytest.mark.parametrize("magic", [0, 1])
def test_the_old_formats_are_read(magic: int) -> None:
    builder = LegacyRecordBatchBuilder(magic, 0, 1000)
    builder.append(0, 1_000, b"k", b"v")

    (only,) = read(bytes(builder.build()))

    assert (only.key, only.value, only.unreadable) == (b"k", b"v", None)
    assert only.timestamp_ms == (1_000 if magic else -1)


@pytest.mark.parametrize("magic", [0, 1])
def test_compressed_batches_of_the_old_formats_are_stepped_over(magic: int) -> None:
    builder = LegacyRecordBatchBuilder(magic, GZIP, 1000)
    builder.append(0, 1_000, b"k", b"v")

    (only,) = read(bytes(builder.build()))

    assert only.unreadable
    assert f"message format {magic}" in only.unreadable.detail


UNFRAMED = {
    "format of the future": bytes(replace(batch_of(b"a"), magic=3)),
    "short": bytes(batch_of(b"a"))[:30],
    "length below zero": bytes(replace(batch_of(b"a"), length=-9)),
    "tiny": bytes(replace(batch_of(b"a"), length=3))[:15],
    "longer than the answer": bytes(replace(batch_of(b"a"), length=5000)),
}


@pytest.mark.parametrize("data", UNFRAMED.values(), ids=UNFRAMED)
def test_what_is_no_batch_at_all_costs_one_offset_at_a_time(data: bytes) -> None:
    (only,) = read(data, position=4)

    assert (only.offset, only.last_offset) == (4, 4)
    assert only.unreadable
    assert only.unreadable.raw == "batch"


def test_a_record_without_a_time_has_kafkas_number_for_it() -> None:
    (only,) = read(replace(batch_of(b"a"), timestamp_ms=-1))

    assert only.timestamp_ms == -1
