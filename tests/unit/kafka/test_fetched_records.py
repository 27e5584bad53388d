"""A record that no client should have sent: its offset leads on, and what can be read of it is kept."""

import random

import pytest

from service.core.records import MAX_HEADERS_KEPT
from service.events.codec import decode_upload
from service.events.codec_errors import TooManyHeadersError
from service.kafka.errors import RecordUnreadableError
from testing.fetched import compress, fetched, read
from testing.raw_batches import (
    GZIP,
    LZ4,
    SNAPPY,
    ZSTD,
    RawBatch,
    batch_of,
    record,
    varint,
)

BAD_NAME = record(1, b"v1", key=b"k1", headers=[(b"good", b"1"), (b"\xff\xfe", b"2")])


def test_what_aiokafka_can_read_it_reads() -> None:
    records = list(fetched(batch_of(b"a", b"b"), batch_of(b"c", base=2)))

    assert [(each.offset, each.key, each.value) for each in records] == [
        (0, b"k0", b"a"),
        (1, b"k1", b"b"),
        (2, b"k0", b"c"),
    ]


def test_a_header_name_that_is_no_text_costs_only_its_record() -> None:
    batch = RawBatch(records=record(0, b"v0") + BAD_NAME + record(2, b"v2"), count=3, base=10)

    before, bad, behind = read(batch, batch_of(b"next", base=13))[:3]

    assert (before.offset, before.value, before.unreadable) == (10, b"v0", None)
    assert (behind.offset, behind.value, behind.unreadable) == (12, b"v2", None)
    assert (bad.offset, bad.key, bad.value) == (11, b"k1", b"v1")
    assert bad.headers == (("good", b"1"), ("\\xff\\xfe", b"2"))
    assert bad.unreadable
    assert bad.unreadable.error is RecordUnreadableError
    assert bad.unreadable.detail == "the name of header 2 is not UTF-8: \\xff\\xfe"
    assert not bad.unreadable.raw


def test_the_batch_behind_one_with_a_bad_record_is_read_from_the_same_answer() -> None:
    records = read(RawBatch(records=record(0, b"v0") + BAD_NAME, count=2), batch_of(b"next", base=2))

    assert [each.value for each in records] == [b"v0", b"v1", b"next"]


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_a_bad_record_is_stepped_over_in_a_compressed_batch(codec: int) -> None:
    packed = compress(codec, record(0, b"v0") + BAD_NAME + record(2, b"v2"))

    records = read(RawBatch(records=packed, count=3, codec=codec))

    assert [(each.offset, bool(each.unreadable)) for each in records] == [(0, False), (1, True), (2, False)]


@pytest.mark.parametrize("name", [b"x", b"\xff"], ids=["readable", "unreadable"])
def test_of_endless_headers_so_many_are_kept_that_the_codec_finds_too_many(name: bytes) -> None:
    plain = record(0, b"{}", headers=[(b"x", b"")] * 99_999 + [(name, b"")])

    (received,) = read(RawBatch(records=plain, count=1))

    assert len(received.headers) == MAX_HEADERS_KEPT
    with pytest.raises(TooManyHeadersError):
        decode_upload(received)


@pytest.mark.parametrize("first_ms", [0, 2**62, 2**63 - 1, -(2**63), -5])
@pytest.mark.parametrize("delta_ms", [0, 2**62, 2**63 - 1, -(2**63)])
def test_a_timestamp_beyond_64_bits_wraps_around_in_an_unreadable_record_as_in_others(
    first_ms: int, delta_ms: int
) -> None:
    plain = record(0, b"v0", timestamp_delta=delta_ms)
    plain += record(1, b"v1", headers=[(b"\xff", b"")], timestamp_delta=delta_ms)

    good, bad = read(RawBatch(records=plain, count=2, timestamp_ms=first_ms))

    assert (bool(good.unreadable), bool(bad.unreadable)) == (False, True)
    assert good.timestamp_ms == bad.timestamp_ms


def test_reading_from_within_a_batch_begins_there() -> None:
    batch = RawBatch(records=record(0, b"v0") + BAD_NAME + record(2, b"v2"), count=3)

    assert [each.offset for each in read(batch, position=1)] == [1, 2]
    assert [each.offset for each in read(batch, position=2)] == [2]


BODIES = {
    "key length": b"\0" + varint(0) + varint(1) + varint(1 << 40),
    "largest key length": b"\0" + varint(0) + varint(1) + varint((1 << 63) - 1) + b"k",
    "value length": b"\0" + varint(0) + varint(1) + varint(-1) + varint(1000) + b"v",
    "offset": b"\0" + varint(0) + b"\xff" * 12,
    "nothing": b"",
}
HEADS = {
    "header count": varint(1 << 30),
    "header count below zero": varint(-2),
    "header value length": varint(1) + b"\x02n" + varint(4000) + b"v",
    "header name length": varint(1) + varint(1 << 50),
    "no header name": varint(1) + varint(-1) + varint(-1),
    "missing headers": varint(3),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_record_that_is_no_record_is_kept_raw(body: bytes) -> None:
    records = record(0, b"v0") + varint(len(body)) + body + record(2, b"v2")

    before, bad, behind = read(RawBatch(records=records, count=3, base=5))

    assert (before.value, behind.value, behind.offset) == (b"v0", b"v2", 7)
    assert (bad.offset, bad.value) == (6, body)
    assert bad.unreadable
    assert bad.unreadable.raw == "record"


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_key_and_value_are_saved_from_a_record_whose_headers_are_broken(head: bytes) -> None:
    body = b"\0" + varint(0) + varint(1) + varint(1) + b"k" + varint(1) + b"v" + head
    records = record(0, b"v0") + varint(len(body)) + body + record(2, b"v2")

    before, bad, behind = read(RawBatch(records=records, count=3))

    assert (before.value, behind.value) == (b"v0", b"v2")
    assert (bad.offset, bad.key, bad.value, bad.headers) == (1, b"k", b"v", ())
    assert bad.unreadable
    assert not bad.unreadable.raw


DELTAS = [(0, 0, 0), (2, 1, 0), (0, 2, 2), (1, 2, 3), (0, 1, -9), (0, 1 << 40, 2)]


@pytest.mark.parametrize("deltas", DELTAS)
@pytest.mark.parametrize("codec", [0, ZSTD])
def test_records_that_claim_each_others_offsets_have_an_outcome_each(deltas: tuple[int, ...], codec: int) -> None:
    plain = b"".join(record(delta, b"v%d" % n) for n, delta in enumerate(deltas))
    packed = compress(codec, plain) if codec else plain

    records = read(RawBatch(records=packed, count=3, codec=codec, base=5))

    assert [(each.offset, each.value) for each in records] == [(5, b"v0"), (6, b"v1"), (7, b"v2")]
    assert [bool(each.unreadable) for each in records] == [delta != n for n, delta in enumerate(deltas)]


def test_bytes_behind_the_headers_of_a_record_are_a_fault_of_that_record() -> None:
    records = record(0, b"v0", tail=b"xx") + record(1, b"v1")

    bad, good = read(RawBatch(records=records, count=2))

    assert bad.unreadable
    assert bad.unreadable.detail == "2 bytes follow its last header"
    assert (good.value, good.unreadable) == (b"v1", None)


@pytest.mark.parametrize("seed", range(300))
def test_no_damage_stops_or_skips_anything(seed: int) -> None:
    """Any byte of a batch is changed, with a checksum that fits again: each offset has one outcome."""
    chance = random.Random(seed)
    codec = chance.choice([0, GZIP, SNAPPY, LZ4, ZSTD])
    plain = b"".join(record(n, b"value %d" % n, headers=[(b"name", b"x")]) for n in range(5))
    raw = bytearray(compress(codec, plain) if codec else plain)
    for _ in range(chance.randint(1, 3)):
        raw[chance.randrange(len(raw))] = chance.randrange(256)

    records = read(RawBatch(records=bytes(raw), count=5, codec=codec, base=100), position=100)

    assert [each.offset for each in records] == [100, 101, 102, 103, 104]
