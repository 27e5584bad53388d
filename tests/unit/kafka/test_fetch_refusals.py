"""Brokers that refuse to let a partition be read: it is known which, since when, and it is asked for with pauses."""

from types import SimpleNamespace

from aiokafka import TopicPartition
from aiokafka.errors import (
    BrokerResponseError,
    CorruptRecordException,
    NoError,
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
)
from aiokafka.protocol.fetch import FetchRequest

from service.kafka.fetch_refusals import FetchRefusals, ObservedClient

GOOD, BAD = TopicPartition("t", 0), TopicPartition("t", 1)


class Setup:
    """Refusals by a clock that stands."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.refusals = FetchRefusals(clock=lambda: self.now_s)

    def answer(self, error: type[BrokerResponseError], partition: TopicPartition = BAD) -> None:
        reported = (partition.partition, error.errno, 7, b"")
        self.refusals.note(SimpleNamespace(topics=[(partition.topic, [reported])]))

    def asked(self) -> list[int]:
        """Return the partitions that would be asked for."""
        request = FetchRequest(1, 1, 1, 1, [("t", [(0, 5, 1), (1, 5, 1)]), ("u", [(1, 5, 1)])])
        (fetch,) = self.refusals.without_paused([(1, request)])
        return [partition for topic, found in fetch[1].topics if topic == "t" for partition, *_ in found]


def test_a_refusal_is_kept_from_the_first_one_until_the_partition_can_be_read() -> None:
    setup = Setup()
    setup.answer(CorruptRecordException)
    setup.now_s += 20
    setup.answer(CorruptRecordException)
    refusal = setup.refusals.of(BAD)
    assert refusal
    assert (refusal.error, refusal.since_s, refusal.last_s) == ("CorruptRecordException", 100.0, 120.0)
    assert setup.refusals.of(GOOD) is None
    setup.answer(NoError)
    assert setup.refusals.of(BAD) is None


def test_a_refused_partition_is_asked_for_ever_more_seldom_and_the_others_as_before() -> None:
    setup = Setup()
    pauses = []
    for _ in range(8):
        setup.answer(CorruptRecordException)
        began_s = setup.now_s
        while 1 not in setup.asked():
            assert setup.asked() == [0]
            setup.now_s += 0.25
        pauses.append(setup.now_s - began_s)
    assert pauses == [0.25, 0.5, 1, 2, 4, 5, 5, 5]


def test_a_fetch_of_nothing_but_paused_partitions_is_left_out() -> None:
    setup = Setup()
    setup.answer(CorruptRecordException)
    assert setup.refusals.without_paused([(1, FetchRequest(1, 1, 1, 1, [("t", [(1, 5, 1)])]))]) == []


def test_a_leader_that_moves_is_looked_for_without_a_pause() -> None:
    setup = Setup()
    setup.answer(NotLeaderForPartitionError)
    assert setup.refusals.of(BAD)
    assert setup.asked() == [0, 1]


def test_an_offset_out_of_range_is_no_refusal() -> None:
    setup = Setup()
    setup.answer(OffsetOutOfRangeError)
    assert setup.refusals.of(BAD) is None


def test_a_partition_that_is_read_elsewhere_by_now_is_not_refused_here() -> None:
    setup = Setup()
    setup.answer(CorruptRecordException)
    setup.now_s += 60
    assert setup.refusals.of(BAD) is None
    setup.answer(CorruptRecordException)
    refusal = setup.refusals.of(BAD)
    assert refusal
    assert refusal.since_s == 160


async def test_a_client_shows_answers_to_fetches_alone() -> None:
    setup = Setup()
    corrupt = SimpleNamespace(topics=[("t", [(1, 2, 7, b"")])])

    class Client:
        cluster = "the cluster"

        async def send(self, _node_id: int, _request: object) -> object:
            return corrupt

    client = ObservedClient(Client(), setup.refusals)
    assert client.cluster == "the cluster"
    assert await client.send(1, object()) is corrupt
    assert setup.refusals.of(BAD) is None
    assert await client.send(1, FetchRequest(1, 1, 1, 1, [])) is corrupt
    assert setup.refusals.of(BAD)
