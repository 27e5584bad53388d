"""The main loop: every record to one outcome, through failures and drains."""

import asyncio

import pytest

from service.core.records import OutgoingRecord
from service.delivery.dead_letter_limit import DeadLetterLimitError
from service.delivery.handler import Job
from service.delivery.processor import Counters, Processor
from service.kafka.errors import ConsumerFailedError
from service.settings.delivery import DeadLetterSettings, WindowSettings
from service.settings.kafka import KafkaSettings
from service.settings.settings import ShutdownSettings
from testing.handlers import SETTINGS, BrokenError, BusyError, RequestLimiter, WrongError, committed, running, verdict
from testing.memory_stream import MemoryStream, record
from testing.waiting import wait_until


async def allow(job: Job) -> tuple[OutgoingRecord, ...]:
    return verdict(job)


async def test_every_record_gets_its_outcome() -> None:
    stream = MemoryStream([record(offset) for offset in range(100)])
    async with running(stream, allow) as processor:
        await committed(stream, 100)
        assert processor.counters() == Counters(in_flight=0, finished=100, dead_lettered=0)
    assert stream.left


async def test_a_slow_record_delays_no_other() -> None:
    stream, gate = MemoryStream([record(0), record(1)]), RequestLimiter()
    async with running(stream, gate):
        gate.let_go(1)
        await committed(stream, 1)
        assert (0, 1) in stream.committed
        gate.let_go(0)


async def test_no_more_is_taken_in_than_the_window_holds() -> None:
    stream, gate = MemoryStream([record(offset) for offset in range(10)]), RequestLimiter()
    settings = SETTINGS.model_copy(update={"window": WindowSettings(max_records=3)})
    async with running(stream, gate, settings) as processor:
        await wait_until(lambda: len(gate.started) == 3, description="the window is full")
        assert processor.counters().in_flight == 3
        gate.let_go(*range(10))
        await committed(stream, 10)
    assert stream.largest_request == 3


async def test_a_rejected_record_becomes_a_dead_letter_at_once() -> None:
    stream = MemoryStream([record(0, key=b"42")])
    attempts = []

    async def reject(job: Job) -> tuple[OutgoingRecord, ...]:
        attempts.append(job.attempt)
        raise WrongError

    async with running(stream, reject) as processor:
        await committed(stream, 1)
        assert processor.counters().dead_lettered == 1
    (letter,) = stream.committed[0, 0]
    assert (letter.topic, letter.key) == ("images.uploaded.dead", b"42")
    assert dict(letter.headers)["modstream-reason"] == b"test.wrong"
    assert attempts == [1]


async def test_a_transient_fault_is_attempted_again_until_it_is_over() -> None:
    stream = MemoryStream([record(0)])
    attempts = []

    async def busy_twice(job: Job) -> tuple[OutgoingRecord, ...]:
        attempts.append(job.attempt)
        if job.attempt < 3:
            raise BusyError
        return verdict(job)

    async with running(stream, busy_twice):
        await committed(stream, 1)
    assert stream.committed[0, 0][0].topic == "images.verdicts"
    assert attempts == [1, 2, 3]


async def test_a_defect_is_attempted_again_and_then_reported_without_its_message() -> None:
    stream = MemoryStream([record(0)])
    attempts = []

    async def defective(job: Job) -> tuple[OutgoingRecord, ...]:
        attempts.append(job.attempt)
        raise ValueError("https://bucket/42.jpg?signature=secret")

    async with running(stream, defective):
        await committed(stream, 1)
    headers = dict(stream.committed[0, 0][0].headers)
    assert headers["modstream-reason"] == b"internal.unexpected"
    assert headers["modstream-message"].startswith(b"Unexpected ValueError: in defective, line ")
    assert attempts == [1, 2, 3]


async def test_an_outcome_that_no_broker_takes_becomes_a_dead_letter() -> None:
    stream = MemoryStream([record(0)])
    settings = SETTINGS.model_copy(update={"kafka": KafkaSettings(max_request_bytes=20_000)})

    async def verbose(job: Job) -> tuple[OutgoingRecord, ...]:
        return verdict(job, b"x" * 30_000)

    async with running(stream, verbose, settings):
        await committed(stream, 1)
    assert dict(stream.committed[0, 0][0].headers)["modstream-reason"] == b"outcome.too_large"


async def test_a_fatal_error_stops_the_service_and_leaves_its_record_uncommitted() -> None:
    stream = MemoryStream([record(offset) for offset in range(3)])

    async def break_at_one(job: Job) -> tuple[OutgoingRecord, ...]:
        if job.record.offset == 1:
            raise BrokenError
        return verdict(job)

    with pytest.raises(BrokenError):
        await Processor(SETTINGS, break_at_one, connect=stream.connect).run()
    assert (0, 1) not in stream.committed
    assert stream.left


async def test_a_stream_that_fails_stops_the_service_while_its_window_is_full() -> None:
    stream, gate = MemoryStream([record(0), record(1)]), RequestLimiter()
    settings = SETTINGS.model_copy(update={"window": WindowSettings(max_records=2, max_waiting=0)})
    run = asyncio.create_task(Processor(settings, gate, connect=stream.connect).run())
    await wait_until(lambda: len(gate.started) == 2, description="the window is full")
    assert stream.listener is not None
    stream.listener.on_failed(ConsumerFailedError(detail="test"))
    with pytest.raises(ConsumerFailedError):
        await run
    assert gate.cancelled == [0, 1]


async def test_too_many_dead_letters_stop_the_service_without_giving_up_the_last() -> None:
    stream = MemoryStream([record(offset) for offset in range(10)])
    settings = SETTINGS.model_copy(update={"dead_letter": DeadLetterSettings(max_consecutive=4)})

    async def fail(_job: Job) -> tuple[OutgoingRecord, ...]:
        raise BusyError

    with pytest.raises(DeadLetterLimitError):
        await Processor(settings, fail, connect=stream.connect).run()
    assert len(stream.committed) == 3


async def test_a_flood_of_records_at_fault_themselves_does_not_stop_the_service() -> None:
    stream = MemoryStream([record(offset) for offset in range(10)])
    settings = SETTINGS.model_copy(update={"dead_letter": DeadLetterSettings(max_consecutive=4, window_records=5)})

    async def reject(_job: Job) -> tuple[OutgoingRecord, ...]:
        raise WrongError

    async with running(stream, reject, settings):
        await committed(stream, 10)


async def test_a_drain_takes_nothing_in_and_waits_for_what_is_in_flight() -> None:
    stream, gate = MemoryStream([record(0)]), RequestLimiter()
    processor = Processor(SETTINGS, gate, connect=stream.connect)
    run = asyncio.create_task(processor.run())
    await wait_until(lambda: gate.started == [0], description="a record is in flight")
    processor.drain()
    stream.arrive(record(1))
    await asyncio.sleep(0)
    assert not run.done()
    gate.let_go(0)
    await run
    assert set(stream.committed) == {(0, 0)}
    assert gate.started == [0]


async def test_a_drain_ends_at_its_deadline() -> None:
    stream, gate = MemoryStream([record(0), record(1)]), RequestLimiter()
    settings = SETTINGS.model_copy(update={"shutdown": ShutdownSettings(drain_s=0.05)})
    async with running(stream, gate, settings):
        gate.let_go(1)
        await committed(stream, 1)
    assert gate.cancelled == [0]
    assert set(stream.committed) == {(0, 1)}
