"""One record through its attempts and retry topics, with a clock that the test sets."""

import gc
from datetime import UTC, datetime

import pytest

from service.core.errors import EnginePoisonError, ModstreamError
from service.core.headers import NOT_BEFORE
from service.core.losses import EngineLosses
from service.core.records import OutgoingRecord, SourceRecord, Unreadable
from service.delivery.attempts import Attempts
from service.delivery.dead_letter_limit import Fault
from service.delivery.handler import UNREAD, Job, Reading
from service.delivery.resolution import Resolution
from service.delivery.retry import retry_tiers
from service.events.raw_event import tenant_of
from service.inference.errors import EngineRejectedError
from service.kafka.errors import BatchTooLargeError, OutcomesRefusedError, PublishError, RecordUnreadableError
from service.media.errors import FetchFailedError, ImageNotFoundError
from service.settings.delivery import DeadLetterSettings, RetrySettings
from service.settings.kafka import KafkaSettings
from service.settings.settings import Settings
from testing.handlers import BusyError, WrongError, verdict
from testing.memory_stream import TOPIC, record
from testing.resources import NotedRecord

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
SETTINGS = Settings(retry=RetrySettings(max_attempts=2, initial_backoff_s=1.0, jitter=0.0, tiers=("30s", "10m")))


class AttemptsSetup:
    """A handler that fails as the test wants, and what came of it."""

    def __init__(self, failure: Exception | None, settings: Settings = SETTINGS) -> None:
        self._failure = failure
        self.jobs: list[Job] = []
        self.slept_s: list[float] = []
        self._attempts = Attempts(
            settings, self._handle, tenant_of=tenant_of, sleep=self._sleep, chance=lambda: 0.0, now=lambda: NOW
        )

    async def _handle(self, job: Job, /) -> tuple[OutgoingRecord, ...]:
        self.jobs.append(job)
        if self._failure:
            raise self._failure
        return verdict(job)

    async def _sleep(self, delay_s: float) -> None:
        self.slept_s.append(delay_s)

    async def resolve(self, source: SourceRecord, reading: Reading = UNREAD) -> Resolution:
        return await self._attempts.resolve(NotedRecord(source, reading))


def delivered(outcome: OutgoingRecord, *, offset: int) -> SourceRecord:
    """Return an outcome as it is read from its topic."""
    return SourceRecord(outcome.topic, 5, offset, 0, outcome.key, outcome.value, outcome.headers)


def test_tiers_have_a_topic_for_each_delay() -> None:
    assert [(tier.delay_s, tier.topic) for tier in retry_tiers(SETTINGS)] == [
        (30, "images.uploaded.retry.30s"),
        (600, "images.uploaded.retry.10m"),
    ]


async def test_a_transient_fault_goes_through_every_tier_and_then_becomes_a_dead_letter() -> None:
    setup = AttemptsSetup(BusyError())
    source = SourceRecord(TOPIC, 3, 77, 1_700_000_000_000, b"42", b"event", (("traceparent", b"00-1"),))

    first = (await setup.resolve(source)).outcomes[0]
    assert first.topic == "images.uploaded.retry.30s"
    assert (first.key, first.value, first.headers[0]) == (b"42", b"event", ("traceparent", b"00-1"))
    assert dict(first.headers)[NOT_BEFORE] == b"%d" % ((NOW.timestamp() + 30) * 1000)

    second = (await setup.resolve(delivered(first, offset=8))).outcomes[0]
    assert second.topic == "images.uploaded.retry.10m"
    assert dict(second.headers)[NOT_BEFORE] == b"%d" % ((NOW.timestamp() + 600) * 1000)

    last = await setup.resolve(delivered(second, offset=9))
    assert last.reason == "test.busy"
    headers = dict(last.outcomes[0].headers)
    assert last.outcomes[0].topic == "images.uploaded.dead"
    assert headers["modstream-attempt"] == b"6"
    assert (headers["modstream-origin-topic"], headers["modstream-origin-partition"]) == (TOPIC.encode(), b"3")
    assert (headers["modstream-origin-offset"], headers["modstream-origin-timestamp"]) == (b"77", b"1700000000000")
    assert "modstream-not-before" not in headers
    assert [job.attempt for job in setup.jobs] == [1, 2, 3, 4, 5, 6]
    assert setup.slept_s == [1.0, 1.0, 1.0]


async def test_a_record_that_waited_is_judged_as_it_was_uploaded() -> None:
    busy, well = AttemptsSetup(BusyError()), AttemptsSetup(None)
    (later,) = (await busy.resolve(record(77, key=b"42", partition=3))).outcomes
    assert (await well.resolve(delivered(later, offset=8))).fault is None
    (job,) = well.jobs
    assert (job.record.topic, job.record.partition, job.record.offset) == (TOPIC, 3, 77)
    assert job.attempt == 3


async def test_a_rejected_record_waits_nowhere() -> None:
    resolution = await AttemptsSetup(WrongError()).resolve(record(0))
    assert resolution.outcomes[0].topic == "images.uploaded.dead"


async def test_headers_of_an_upload_cannot_pretend_that_it_waited() -> None:
    forged = (("modstream-attempt", b"99"), ("modstream-origin-topic", b"other"))
    setup = AttemptsSetup(WrongError())
    resolution = await setup.resolve(SourceRecord(TOPIC, 0, 7, 0, None, b"", forged))
    headers = dict(resolution.outcomes[0].headers)
    assert (headers["modstream-attempt"], headers["modstream-origin-topic"]) == (b"1", TOPIC.encode())


DOWN = FetchFailedError(detail="down")
BY_URL = Reading("shop", is_fetched=True, host="a.example")
IN_STORE = Reading("shop", is_fetched=True, is_in_own_store=True)


@pytest.mark.parametrize(
    ("failure", "reading", "fault"),
    [
        (WrongError(), BY_URL, Fault("test.wrong", "record", "shop")),
        (BusyError(), BY_URL, Fault("test.busy", "service", "shop")),
        (DOWN, BY_URL, Fault("fetch.failed", "uploader", "shop", "a.example")),
        (DOWN, IN_STORE, Fault("fetch.failed", "service", "shop")),
        (ImageNotFoundError(detail="404"), IN_STORE, Fault("image.not_found", "uploader", "shop")),
    ],
)
async def test_a_dead_letter_names_its_possible_causes(failure: ModstreamError, reading: Reading, fault: Fault) -> None:
    setup = AttemptsSetup(failure, Settings(retry=RetrySettings(max_attempts=1)))
    assert (await setup.resolve(record(0), reading)).fault == fault


async def test_an_unreadable_record_is_a_dead_letter_by_its_own_fault_that_no_handler_sees() -> None:
    unreadable = Unreadable(RecordUnreadableError, "cut off", 7, raw="batch", raw_offsets="7-9")
    setup = AttemptsSetup(None)
    source = SourceRecord(TOPIC, 0, 7, 0, None, b"raw", (), unreadable=unreadable)

    resolution = await setup.resolve(source)

    assert setup.jobs == []
    assert resolution.fault == Fault("record.unreadable", "record")
    (dead_letter,) = resolution.outcomes
    headers = dict(dead_letter.headers)
    assert dead_letter.value == b"raw"
    assert headers["modstream-message"] == b"The Kafka client cannot read this: cut off"
    assert (headers["modstream-raw"], headers["modstream-raw-offsets"]) == (b"batch", b"7-9")
    assert "modstream-origin-last-offset" not in headers


async def test_a_dead_letter_for_many_offsets_names_the_last() -> None:
    source = SourceRecord(
        TOPIC, 0, 7, 0, None, b"", (), unreadable=Unreadable(BatchTooLargeError, "a bomb", 5000, raw="batch")
    )

    resolution = await AttemptsSetup(None).resolve(source)

    assert resolution.reason == "record.batch_too_large"
    assert dict(resolution.outcomes[0].headers)["modstream-origin-last-offset"] == b"5000"


async def test_a_foreign_record_in_a_retry_topic_is_judged_where_it_is() -> None:
    setup = AttemptsSetup(None)
    await setup.resolve(SourceRecord("images.uploaded.retry.30s", 0, 7, 0, None, b"", ()))
    assert (setup.jobs[0].record.topic, setup.jobs[0].attempt) == ("images.uploaded.retry.30s", 1)


async def test_a_record_that_grew_too_large_to_wait_becomes_a_dead_letter() -> None:
    settings = SETTINGS.model_copy(update={"kafka": KafkaSettings(max_request_bytes=20_000)})
    resolution = await AttemptsSetup(BusyError(), settings).resolve(record(0, value=b"x" * 19_900))
    assert resolution.outcomes[0].topic == "images.uploaded.dead"
    assert resolution.reason == "test.busy"


async def test_what_a_record_lost_is_known_at_its_next_attempts_here_and_in_retry_topics() -> None:
    class Losing(AttemptsSetup):
        async def _handle(self, job: Job, /) -> tuple[OutgoingRecord, ...]:
            assert job.losses is not None
            job.losses.add(alone=False)
            return await super()._handle(job)

    (later,) = (await Losing(BusyError()).resolve(record(77))).outcomes
    setup = AttemptsSetup(BusyError())
    await setup.resolve(delivered(later, offset=8))
    assert {(job.losses.among_others, job.losses.alone) for job in setup.jobs if job.losses} == {(2, 0.0)}


async def test_an_uploader_cannot_make_a_suspect_of_its_record() -> None:
    setup = AttemptsSetup(None)
    await setup.resolve(record(0)._replace(headers=(("modstream-engine-losses", b"9,9"),)))
    assert setup.jobs[0].losses == EngineLosses()


@pytest.mark.parametrize("failure", [WrongError, BusyError])
async def test_a_record_that_failed_is_freed_with_its_outcome_and_not_by_the_collector(
    failure: type[Exception],
) -> None:
    freed = []

    class Value(bytes):
        def __del__(self) -> None:
            freed.append(self[:])

    async def fail(_: Job) -> tuple[OutgoingRecord, ...]:
        raise failure

    attempts = Attempts(Settings(retry=RetrySettings(max_attempts=1)), fail)
    source = record(0)._replace(value=Value(b"event"))
    gc.collect()
    gc.disable()
    try:
        resolution = await attempts.resolve(NotedRecord(source))
        del source, resolution
        assert freed == [b"event"]
    finally:
        gc.enable()


NOTICED = SETTINGS.model_copy(update={"dead_letter": DeadLetterSettings(notice_tenants=("shop", "forum"))})
NOTICES_OF_SHOP = "images.uploaded.dead.notices.shop"


async def test_a_tenant_with_a_topic_gets_the_reason_and_the_record_and_nothing_of_the_event() -> None:
    source = record(7, key=b"42", value=b'{"url": "https://cdn.example.com/?signature=1"}')
    source = source._replace(headers=(("authorization", b"secret"), ("modstream-stack", b"forged")))
    dead_letter, notice = (await AttemptsSetup(WrongError(), NOTICED).resolve(source, Reading("shop"))).outcomes
    assert dead_letter.topic == "images.uploaded.dead"
    assert (notice.topic, notice.key, notice.value) == (NOTICES_OF_SHOP, b"42", None)
    headers = dict(notice.headers)
    assert headers["modstream-reason"] == b"test.wrong"
    assert headers["modstream-origin-offset"] == b"7"
    assert {name.partition("-")[0] for name in headers} == {"modstream"}
    assert "modstream-stack" not in headers


@pytest.mark.parametrize(
    "failure",
    [
        EngineRejectedError(detail="gpu-1.internal:8000 answered 400: no"),
        EnginePoisonError(detail="gpu-1.internal:8000 did not answer in full"),
        PublishError(topic="images.verdicts", detail="gpu-1.internal:9092"),
    ],
)
async def test_a_notice_names_no_server_of_the_operator(failure: ModstreamError) -> None:
    at_once = NOTICED.model_copy(update={"retry": RetrySettings(max_attempts=1)})
    dead_letter, notice = (await AttemptsSetup(failure, at_once).resolve(record(7), Reading("shop"))).outcomes
    assert b"gpu-1" in (dict(dead_letter.headers)["modstream-message"] or b"")
    assert dict(notice.headers)["modstream-reason"] == failure.reason.encode()
    assert not any(b"gpu-1" in (value or b"") for _, value in notice.headers)


@pytest.mark.parametrize("tenant", ["", "other", "shop/../forum", "*"])
async def test_a_tenant_without_a_topic_gets_no_notice(tenant: str) -> None:
    (dead_letter,) = (await AttemptsSetup(WrongError(), NOTICED).resolve(record(7), Reading(tenant))).outcomes
    assert dead_letter.topic == "images.uploaded.dead"


async def test_an_event_that_broke_the_rules_is_reported_to_the_tenant_that_it_names() -> None:
    broken = record(7, value=b'{"tenant": "shop", "image": 5}')
    _, notice = (await AttemptsSetup(WrongError(), NOTICED).resolve(broken)).outcomes
    assert notice.topic == NOTICES_OF_SHOP


async def test_a_record_that_is_tried_again_gives_no_notice_yet() -> None:
    (later,) = (await AttemptsSetup(BusyError(), NOTICED).resolve(record(7), Reading("shop"))).outcomes
    assert later.topic == "images.uploaded.retry.30s"


async def test_a_notice_that_its_topic_refuses_is_left_out_and_the_dead_letter_stays() -> None:
    attempts = Attempts(NOTICED, AttemptsSetup(WrongError())._handle)
    setup = AttemptsSetup(WrongError(), NOTICED)
    resolution = await setup.resolve(record(7), Reading("shop"))
    refusal = OutcomesRefusedError(NOTICES_OF_SHOP, resolution.outcomes[1:], size_bytes=900, detail="too large")
    replaced = attempts.replace(NotedRecord(record(7), Reading("shop")), resolution, refusal)
    assert replaced.outcomes == resolution.outcomes[:1]
