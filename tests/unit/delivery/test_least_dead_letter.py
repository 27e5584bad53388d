"""Defects beside the handler: the record gets a dead letter with its reason, origin, key and value all the same."""

import asyncio
from datetime import UTC, datetime

import pytest

from service.core.headers import ATTEMPT, MESSAGE, REASON, TRUNCATED
from service.core.records import OutgoingRecord, SourceRecord, Unreadable
from service.delivery.attempts import Attempts
from service.delivery.handler import Handler, Job
from service.delivery.least_dead_letter import least_dead_letter
from service.delivery.origin import parsed_origin
from service.delivery.processor import Processor
from service.delivery.resolution import Resolution
from service.kafka.errors import OutcomesRefusedError, RecordUnreadableError
from service.kafka.publisher import record_bytes
from service.settings.delivery import DeadLetterSettings, RetrySettings
from service.settings.settings import Settings
from service.telemetry.record_trace import Arrival, Delivery, QuietDelivery, RecordTracer
from service.tools.dead_letters.dead_letter import read_dead_letter
from testing.dead_letters import as_read
from testing.handlers import SETTINGS as PROCESSOR_SETTINGS
from testing.handlers import BusyError, WrongError, committed, verdict
from testing.memory_stream import TOPIC, MemoryStream, record
from testing.resources import NotedRecord

DEAD = "images.uploaded.dead"
SETTINGS = Settings(retry=RetrySettings(max_attempts=1))
WAITING = Settings(retry=RetrySettings(max_attempts=1, tiers=("30s",)))
NOTICED = SETTINGS.model_copy(update={"dead_letter": DeadLetterSettings(notice_tenants=("shop",))})
UNSPEAKABLE = record(7, key=b"42")._replace(headers=(("\udcff", b"no text that a broker could get"),))


async def judged(job: Job, /) -> tuple[OutgoingRecord, ...]:
    return verdict(job)


def failing(failure: Exception) -> Handler:
    async def handler(_job: Job, /) -> tuple[OutgoingRecord, ...]:
        raise failure

    return handler


async def resolution_of(source: SourceRecord, handler: Handler, settings: Settings = SETTINGS) -> Resolution:
    return await Attempts(settings, handler).resolve(NotedRecord(source))


@pytest.mark.parametrize("settings", [SETTINGS, WAITING])
async def test_a_record_whose_dead_letter_or_retry_cannot_be_built_keeps_its_reason(settings: Settings) -> None:
    resolution = await resolution_of(UNSPEAKABLE, failing(BusyError()), settings)
    (dead_letter,) = resolution.outcomes
    assert (dead_letter.topic, dead_letter.key, dead_letter.value) == (DEAD, b"42", b"event")
    headers = dict(dead_letter.headers)
    assert (headers[REASON], headers[ATTEMPT], headers[TRUNCATED]) == (b"test.busy", b"1", b"headers")
    assert b"record.dead_letter_reduced" in headers[MESSAGE]
    assert (resolution.outcome, resolution.reason) == ("dead_lettered", "test.busy")
    assert resolution.fault is not None
    assert resolution.fault.blame == "uploader"


async def test_a_dead_letter_that_replaces_a_refused_outcome_needs_no_headers() -> None:
    attempts = Attempts(SETTINGS, judged)
    refusal = OutcomesRefusedError("images.verdicts", (), size_bytes=900, detail="too large")
    resolution = Resolution(verdict_of(UNSPEAKABLE), 0, attempt=2)
    (dead_letter,) = attempts.replace(NotedRecord(UNSPEAKABLE), resolution, refusal).outcomes
    assert (dict(dead_letter.headers)[REASON], dict(dead_letter.headers)[ATTEMPT]) == (b"outcome.too_large", b"2")


def verdict_of(source: SourceRecord) -> tuple[OutgoingRecord, ...]:
    return (OutgoingRecord("images.verdicts", source.key, b"allow", ()),)


class BrokenTracer(RecordTracer):
    """Fails before the first attempt."""

    def delivery(self, arrival: Arrival) -> Delivery | QuietDelivery:
        if arrival.offset == 1:
            raise LookupError("a defect")
        return super().delivery(arrival)


async def test_a_defect_before_the_first_attempt_costs_its_record_alone() -> None:
    stream = MemoryStream([record(offset) for offset in range(3)])
    tracer = BrokenTracer(None, group_id="g")
    processor = Processor(PROCESSOR_SETTINGS, judged, connect=stream.connect, tracer=tracer)
    run = asyncio.create_task(processor.run())
    await committed(stream, 3)
    processor.drain()
    await run
    assert {offset: outcomes[0].topic for (_, offset), outcomes in stream.committed.items()} == {
        0: "images.verdicts",
        1: DEAD,
        2: "images.verdicts",
    }
    assert dict(stream.committed[0, 1][0].headers)[REASON] == b"internal.unexpected"


async def test_a_notice_that_cannot_be_built_leaves_the_dead_letter_whole() -> None:
    def broken(_record: SourceRecord) -> str:
        raise LookupError("a defect")

    attempts = Attempts(NOTICED, failing(WrongError()), tenant_of=broken)
    (dead_letter,) = (await attempts.resolve(NotedRecord(record(7)))).outcomes
    assert dict(dead_letter.headers)[MESSAGE] == b"wrong"
    assert TRUNCATED not in dict(dead_letter.headers)


def least(source: SourceRecord, *, max_bytes: int = 1_000_000, reason: str = "test.wrong") -> OutgoingRecord:
    failed_at = datetime(2026, 5, 4, tzinfo=UTC)
    return least_dead_letter(
        source, reason, topic=DEAD, uploads=TOPIC, attempt=1, failed_at=failed_at, max_bytes=max_bytes
    )


def test_a_record_of_a_retry_topic_keeps_the_origin_that_its_headers_report() -> None:
    headers = least(record(7, partition=3)).headers
    waited = SourceRecord("images.uploaded.retry.30s", 0, 1, 5, b"42", b"event", headers)
    origin = parsed_origin(least(waited).headers)
    assert origin is not None
    assert (origin.topic, origin.partition, origin.offset) == (TOPIC, 3, 7)


def test_commands_can_read_it_and_send_it_back() -> None:
    dead_letter = read_dead_letter(as_read(least(record(7, partition=3)), 0, 0))
    assert dead_letter.reason == "test.wrong"
    assert dead_letter.origin is not None
    assert (dead_letter.origin.partition, dead_letter.origin.offset) == (3, 7)


def test_the_offsets_that_an_unreadable_record_stands_for_are_reported() -> None:
    unreadable = Unreadable(RecordUnreadableError, "broken", last_offset=9)
    assert dict(least(record(7)._replace(unreadable=unreadable)).headers)["modstream-origin-last-offset"] == b"9"


@pytest.mark.parametrize("reason", ["test.wrong", "\ud800" * 9999])
@pytest.mark.parametrize("max_bytes", [2048, 100_000])
def test_it_is_never_larger_than_its_topic_accepts(max_bytes: int, reason: str) -> None:
    dead_letter = least(record(2**62, key=bytes(900_000), value=bytes(900_000)), max_bytes=max_bytes, reason=reason)
    assert record_bytes(dead_letter) <= max_bytes
    assert dict(dead_letter.headers)[TRUNCATED] == b"headers,value,key"
