"""On Kafka: what the client cannot read costs its own offsets alone, and no partition stops for it."""

import gzip
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from aiokafka import TopicPartition

from service.core.records import SourceRecord
from service.delivery.group_state import StoredOffsets
from service.kafka.connection import KafkaConnection
from service.kafka.reader import open_reader, open_snapshot
from testing.raw_batches import GZIP, LZ4, SNAPPY, ZSTD, RawBatch, batch_of, bomb, record, send_raw
from tests.integration.delivery.world import PARTITIONS, World

BAD_NAME = [(b"\xff\xfe", b"1")]
MIB = 1024 * 1024


def unnamable(*, base: int = 0) -> RawBatch:
    """A batch of three events; the one in the middle has a header whose name is no text."""
    bad = record(1, b"{}", key=b"bad", headers=BAD_NAME)
    plain = record(0, b"{}", key=b"first") + bad + record(2, b"{}", key=b"last")
    return RawBatch(records=plain, count=3, base=base, timestamp_ms=1_700_000_000_000)


async def send(world: World, batch: RawBatch, *, partition: int = 0) -> int:
    kafka, topics = world.settings.kafka, world.settings.topics
    return await send_raw(kafka.bootstrap_servers, topics.uploads, partition, batch)


def dead_letters(world: World) -> dict[tuple[int, int], dict[str, bytes]]:
    """Return the headers of the dead letters by the place of the record that failed."""
    found = [dict(dead_letter.headers) for dead_letter in world.reader.of(world.settings.topics.dead_letters)]
    return {(int(each["modstream-origin-partition"]), int(each["modstream-origin-offset"])): each for each in found}


async def committed_bases(world: World) -> list[int]:
    connection = KafkaConnection(world.settings.kafka)
    async with connection.running(connection.admin()) as admin:
        stored = StoredOffsets(admin, world.settings.kafka.group_id)
        places = [TopicPartition(world.settings.topics.uploads, number) for number in range(PARTITIONS)]
        return [progress.base if (progress := await stored.fetch(place)) else 0 for place in places]


async def test_records_beside_one_with_an_unreadable_header_have_their_outcomes(world: World) -> None:
    for partition in range(PARTITIONS):
        await send(world, unnamable(), partition=partition)
        await send(world, batch_of(b"{}", b"{}"), partition=partition)
    async with world.processor():
        await world.outcomes(5 * PARTITIONS)
    await world.reader.linger()

    assert len(world.reader.of(world.settings.topics.verdicts)) == 4 * PARTITIONS
    assert dead_letters(world).keys() == {(partition, 1) for partition in range(PARTITIONS)}
    for headers in dead_letters(world).values():
        assert headers["modstream-reason"] == b"record.unreadable"
        assert b"the name of header 1 is not UTF-8" in headers["modstream-message"]
    (dead_letter, *_) = world.reader.of(world.settings.topics.dead_letters)
    assert (dead_letter.key, dead_letter.value) == (b"bad", b"{}")
    assert await committed_bases(world) == [5] * PARTITIONS


async def test_a_restart_reads_nothing_unreadable_again(world: World) -> None:
    await send(world, unnamable())
    await send(world, replace(bomb(ZSTD, 20 * MIB), count=1))
    async with world.processor():
        await world.outcomes(4)
    await send(world, batch_of(b"{}"))
    async with world.processor():
        await world.outcomes(5)
        await world.reader.linger()

    assert len(world.reader.records) == 5
    assert (await committed_bases(world))[0] == 5


async def test_unfinished_records_before_an_unreadable_one_keep_their_place(world: World) -> None:
    await send(world, batch_of(orjson.dumps(world.waiting)))
    await send(world, bomb(GZIP, 20 * MIB))
    await send(world, batch_of(b"{}"))
    with world.worker() as worker:
        await world.outcomes(2)
        worker.signal(signal.SIGKILL)
    world.gate.touch()
    async with world.processor():
        await world.outcomes(3)
        await world.reader.linger()

    assert Counter(record.topic for record in world.reader.records) == {
        world.settings.topics.verdicts: 2,
        world.settings.topics.dead_letters: 1,
    }
    assert (await committed_bases(world))[0] == 3


async def test_bytes_behind_a_gzip_stream_cost_nothing(world: World) -> None:
    plain = record(0, b"{}", key=b"a") + record(1, b"{}", key=b"b")
    await send(world, RawBatch(records=gzip.compress(plain) + b"trailing bytes", count=2, codec=GZIP, timestamp_ms=1))
    async with world.processor():
        await world.outcomes(2)

    assert {verdict.key for verdict in world.reader.of(world.settings.topics.verdicts)} == {b"a", b"b"}


async def test_records_without_a_time_are_judged(world: World) -> None:
    await send(world, replace(batch_of(b"{}"), timestamp_ms=-1))
    async with world.processor():
        await world.outcomes(1)

    assert len(world.reader.of(world.settings.topics.verdicts)) == 1


async def test_a_timestamp_beyond_64_bits_in_an_unreadable_record_stops_nothing(world: World) -> None:
    bad = record(0, b"{}", headers=BAD_NAME, timestamp_delta=2**63 - 1)
    await send(world, RawBatch(records=bad, count=1, timestamp_ms=2**62))
    await send(world, batch_of(b"{}"))
    async with world.processor():
        await world.outcomes(2)

    assert dead_letters(world).keys() == {(0, 0)}
    assert len(world.reader.of(world.settings.topics.verdicts)) == 1


def peak_mib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


@pytest.mark.parametrize(
    ("codec", "size_mib"), [(GZIP, 400), (SNAPPY, 18), (LZ4, 200), (ZSTD, 1500)], ids=["gzip", "snappy", "lz4", "zstd"]
)
async def test_a_bomb_is_not_unpacked(world: World, codec: int, size_mib: int) -> None:
    explosive = bomb(codec, size_mib * MIB)
    await send(world, batch_of(b"{}"))
    with world.worker() as worker:
        await world.outcomes(1)
        before_mib = peak_mib(worker.pid)
        for _ in range(3):
            await send(world, explosive)
        await send(world, batch_of(b"{}"))
        await world.outcomes(5)
        grown_mib = peak_mib(worker.pid) - before_mib
    print(f"{len(bytes(explosive))} bytes of {size_mib} MiB: {grown_mib} MiB more")  # noqa: T201 - the measured figure

    assert grown_mib < 3 * world.settings.kafka.max_batch_bytes // MIB
    assert dead_letters(world).keys() == {(0, 1), (0, 2), (0, 3)}
    assert {headers["modstream-reason"] for headers in dead_letters(world).values()} == {b"record.batch_too_large"}


async def test_readers_and_snapshots_pass_what_cannot_be_read(world: World) -> None:
    settings = world.settings
    topic = settings.topics.dead_letters
    for batch in (unnamable(), bomb(ZSTD, 20 * MIB), batch_of(b"{}")):
        await send_raw(settings.kafka.bootstrap_servers, topic, 0, batch)

    async with open_snapshot(KafkaConnection(settings.kafka), topic, setting="topics.dead_letters") as snapshot:
        taken = [each async for records in snapshot.batches() for each in records]
    async with open_reader(settings.kafka, {"topics.dead_letters": topic}, start="beginning") as reader:
        read: list[SourceRecord] = []
        while len(read) < 5:
            read += await reader.read(timeout_s=1.0)

    for records in (taken, read):
        assert [(each.offset, bool(each.unreadable)) for each in records] == [
            (0, False),
            (1, True),
            (2, False),
            (3, True),
            (4, False),
        ]
