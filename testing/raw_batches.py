"""Record batches built byte by byte, right or wrong in any place, and a producer that sends them as they are."""

import struct
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cramjam
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import NotLeaderForPartitionError, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
TRANSACTIONAL, CONTROL = 0x10, 0x20

_HEADER = struct.Struct(">qiibIhiqqqhii")
_CRC_AT = 17
_CHECKED_FROM = 21
_CHUNK_BYTES = 1024 * 1024


def varint(number: int) -> bytes:
    """Return a number as the protocol writes it."""
    bits = number << 1 ^ number >> 63
    bits &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while bits >= 0x80:
        out.append(bits & 0x7F | 0x80)
        bits >>= 7
    return bytes([*out, bits])


def field(data: bytes | None) -> bytes:
    """Return bytes behind their length."""
    return varint(-1) if data is None else varint(len(data)) + data


def record(
    delta: int,
    value: bytes | None,
    *,
    key: bytes | None = None,
    headers: Sequence[tuple[bytes, bytes | None]] = (),
    timestamp_delta: int = 0,
    tail: bytes = b"",
) -> bytes:
    """Return a record with its length; `tail` comes behind what belongs there."""
    named = b"".join(field(name) + field(content) for name, content in headers)
    body = (
        b"\0"
        + varint(timestamp_delta)
        + varint(delta)
        + field(key)
        + field(value)
        + varint(len(headers))
        + named
        + tail
    )
    return field(body)


@dataclass(frozen=True, kw_only=True)
class RawBatch:
    """A batch; what is None follows from the rest."""

    records: bytes
    """As they are sent: compressed where `codec` says so."""
    count: int
    base: int = 0
    last_delta: int | None = None
    codec: int = 0
    flags: int = 0
    magic: int = 2
    producer_id: int = -1
    timestamp_ms: int = -1
    crc: int | None = None
    length: int | None = None

    def __bytes__(self) -> bytes:
        last_delta = self.count - 1 if self.last_delta is None else self.last_delta
        length = len(self.records) + _HEADER.size - 12 if self.length is None else self.length
        batch = bytearray(
            _HEADER.pack(
                self.base, length, -1, self.magic, 0, self.codec | self.flags, last_delta, self.timestamp_ms,
                self.timestamp_ms, self.producer_id, -1, -1, self.count,
            )
            + self.records
        )  # fmt: skip
        crc = calc_crc32c(bytes(batch[_CHECKED_FROM:])) if self.crc is None else self.crc
        struct.pack_into(">I", batch, _CRC_AT, crc)
        return bytes(batch)


def batch_of(*values: bytes, base: int = 0) -> RawBatch:
    """Return a batch that nothing is wrong with."""
    records = b"".join(record(delta, value, key=b"k%d" % delta) for delta, value in enumerate(values))
    now_ms = round(time.time() * 1000)
    return RawBatch(records=records, count=len(values), base=base, timestamp_ms=now_ms)


async def send_raw(bootstrap_servers: str, topic: str, partition: int, batch: bytes | RawBatch) -> int:
    """Send a batch past every check of the client, and return the offset that its first record got."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers)
    await producer.start()
    try:
        while True:
            code, offset = await _produce(producer, TopicPartition(topic, partition), bytes(batch))
            if for_code(code) is not NotLeaderForPartitionError:  # as it is said of a topic that is new
                break
    finally:
        await producer.stop()
    if code:
        raise for_code(code)(f"{topic}/{partition}")
    return offset


async def _produce(producer: AIOKafkaProducer, place: TopicPartition, batch: bytes) -> tuple[int, int]:
    await producer.partitions_for(place.topic)
    request = ProduceRequest(
        transactional_id=None,
        required_acks=-1,
        timeout=10_000,
        topics=[(place.topic, [(place.partition, batch)])],
    )
    answer = await producer.client.send(producer.client.cluster.leader_for_partition(place), request)
    ((_, ((_, code, offset, *_),)),) = answer.topics
    return code, offset


def bomb(codec: int, size_bytes: int) -> RawBatch:
    """Return a batch of one record whose value is so many zeros, never unpacked here either."""
    rest = varint(0)  # headers
    head = b"\0" + varint(0) + varint(0) + varint(-1) + varint(size_bytes)
    head = varint(len(head) + size_bytes + len(rest)) + head
    chunks = [bytes(_CHUNK_BYTES)] * (size_bytes // _CHUNK_BYTES) + [bytes(size_bytes % _CHUNK_BYTES), rest]
    return RawBatch(records=_pack(codec, [head, *chunks]), count=1, codec=codec)


def _pack(codec: int, chunks: Iterable[bytes]) -> bytes:
    if codec == SNAPPY:
        blocks = [bytes(cramjam.snappy.compress_raw(chunk)) for chunk in chunks if chunk]
        frames = b"".join(len(block).to_bytes(4, "big") + block for block in blocks)
        return b"\x82SNAPPY\0" + (1).to_bytes(4, "big") * 2 + frames
    if codec == GZIP:
        gzip = zlib.compressobj(wbits=31)
        return b"".join(map(gzip.compress, chunks)) + gzip.flush()
    packer = (
        cramjam.lz4.Compressor(content_checksum=False, block_linked=False)
        if codec == LZ4
        else cramjam.zstd.Compressor()
    )
    for chunk in chunks:
        packer.compress(chunk)
    return bytes(packer.finish())
