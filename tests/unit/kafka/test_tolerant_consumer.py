"""The places in aiokafka that the consumer builds on: a release that moves them must fail here, not in production."""

import inspect
from collections import OrderedDict
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher as fetcher_module
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords

from service.kafka.connection import KafkaConnection
from service.kafka.fetch_refusals import ObservedClient
from service.kafka.fetched_records import Answer, DamagedBatches, FetchedRecords
from service.kafka.tolerant_consumer import TolerantConsumer
from service.kafka.with_globals import with_globals
from service.settings.kafka import KafkaSettings


@pytest.fixture
async def consumer() -> AsyncIterator[TolerantConsumer]:
    consumer = TolerantConsumer(max_batch_bytes=1000, max_held_bytes=100, max_partition_fetch_bytes=50)
    yield consumer
    consumer._closed = True  # it was never started, and would say so


class IdleFetcher(Fetcher):  # type: ignore[misc]  # aiokafka ships no types
    """A fetcher whose task was not started."""

    def __init__(self) -> None:
        self._records = OrderedDict[TopicPartition, object]()
        self._subscriptions = SimpleNamespace(subscription=None)
        self._client = object()


def hold(fetcher: Fetcher, partition: TopicPartition, size_bytes: int) -> None:
    records = FetchedRecords(
        partition, Answer(bytes(size_bytes)), [], 0, None, None, True, 1, max_batch_bytes=1, log_end=lambda _: None,
        damaged=DamagedBatches(),
    )  # fmt: skip
    fetcher._records[partition] = FetchResult(partition, assignment=None, partition_records=records, backoff=0)


def test_aiokafkas_fetcher_reads_answers_by_the_two_names_that_are_replaced() -> None:
    names = set(Fetcher._proc_fetch_request.__code__.co_names)

    assert {"MemoryRecords", "PartitionRecords"} <= names
    assert Fetcher._proc_fetch_request.__closure__ is None
    assert fetcher_module.MemoryRecords is MemoryRecords
    assert list(inspect.signature(PartitionRecords).parameters) == [
        "tp", "records", "aborted_transactions", "fetch_offset", "key_deserializer", "value_deserializer",
        "check_crcs", "isolation_level",
    ]  # fmt: skip
    assert {"has_next", "size_in_bytes"} <= names


def test_aiokafkas_records_have_the_parts_that_are_built_upon() -> None:
    iterator = inspect.getsource(PartitionRecords)

    for part in ("_unpack_records", "next_fetch_offset", "_consume_aborted_up_to", "_aborted_producers"):
        assert part in iterator
    assert "self._records_iterator = self._unpack_records()" in iterator
    assert "_partition_records" in inspect.getsource(FetchResult)


def test_aiokafkas_consumer_keeps_its_fetcher_where_it_is_taken_over() -> None:
    source = inspect.getsource(AIOKafkaConsumer.start)

    assert "self._fetcher = Fetcher(" in source
    assert "self._get_actions_per_node(assignment)" in inspect.getsource(Fetcher._fetch_requests_routine)
    assert "await self._client.send(node_id, request)" in inspect.getsource(Fetcher._proc_fetch_request)
    assert FetchRequest(1, 1, 1, 1, [("t", [])])._topics == [("t", [])]


def test_an_aiokafka_without_these_names_is_refused() -> None:
    with pytest.raises(RuntimeError, match="does not use Elsewhere"):
        with_globals(Fetcher._proc_fetch_request, {"Elsewhere": object})


async def test_the_fetcher_is_taken_over_before_its_first_step(consumer: TolerantConsumer) -> None:
    fetcher = IdleFetcher()
    consumer._fetcher = fetcher

    names = fetcher._proc_fetch_request.__globals__
    assert names["MemoryRecords"] is Answer
    assert names["PartitionRecords"].func is FetchedRecords
    assert names["PartitionRecords"].keywords["max_batch_bytes"] == 1000
    assert fetcher_module.PartitionRecords is PartitionRecords  # every other consumer keeps aiokafka's own
    assert isinstance(fetcher._client, ObservedClient)
    consumer._fetcher = None


async def test_every_consumer_of_the_service_is_tolerant() -> None:
    connection = KafkaConnection(KafkaSettings(max_batch_bytes=7, max_event_bytes=6, max_prefetch_bytes=9))

    for consumer in (connection.group_consumer(), connection.reader(["topic"])):
        consumer._closed = True
        assert isinstance(consumer, TolerantConsumer)
        assert (consumer._max_batch_bytes, consumer._max_held_bytes, consumer._fetch_max_bytes) == (7, 9, 9)


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fetcher, "_get_actions_per_node", lambda _self, _assignment: (["fetch"], {}, 0.2, False, []))


@pytest.mark.usefixtures("fetches")
async def test_no_more_is_fetched_while_enough_is_held(consumer: TolerantConsumer) -> None:
    fetcher = IdleFetcher()
    read, other = TopicPartition("t", 0), TopicPartition("t", 1)
    hold(fetcher, read, 60)

    assert consumer._actions(fetcher, None)[0] == ["fetch"]
    hold(fetcher, other, 60)
    assert consumer._actions(fetcher, None) == ([], {}, 0.2, False, [])


@pytest.mark.usefixtures("fetches")
async def test_what_a_resting_partition_holds_keeps_no_other_from_being_fetched(consumer: TolerantConsumer) -> None:
    fetcher = IdleFetcher()
    read, resting = TopicPartition("t", 0), TopicPartition("t", 1)
    hold(fetcher, resting, 500)
    consumer._polled_at_s = {read: 100.0, resting: 97.0}

    assert consumer._actions(fetcher, None)[0] == ["fetch"]
    consumer._polled_at_s[resting] = 99.0
    assert consumer._actions(fetcher, None)[0] == []
