"""One record to its outcomes: attempts in this process, then a retry topic, then its dead letter."""

import asyncio
import itertools
import random
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import structlog

from service.errors import FatalError, ModstreamError, TransientError, UnexpectedError
from service.pipeline.handler import UNREAD, Handler, Job, Reading, Resources
from service.pipeline.retry import AttemptAgain, GiveUp, PutOff, decide
from service.settings import Settings
from service.stream.dead_letter import dead_letter
from service.stream.dead_letter_limit import Fault
from service.stream.errors import OutcomeTooLargeError
from service.stream.origin import Origin, fresh, put_off
from service.stream.publishing import record_bytes
from service.stream.records import OutgoingRecord, SourceRecord
from service.stream.retry_topics import RetryTier, next_tier, put_off_record, retry_tiers
from service.telemetry import labels, names
from service.telemetry.instruments import ATTEMPTS_FAILED
from service.telemetry.record_trace import Arrival, RecordTracer

log = structlog.get_logger(__name__)

_JUDGED = {names.OUTCOME: "judged"}


class Resolution(NamedTuple):
    """What is published for a record; a tuple, because every record makes one."""

    outcomes: tuple[OutgoingRecord, ...]
    uploaded_ms: int
    """Kafka timestamp of the record where it was first published."""
    outcome: labels.Outcome = "judged"
    """One that is put off waits in a retry topic: neither a success nor given up."""
    reason: str = ""
    """Why it was not judged."""
    fault: Fault | None = None
    """What the limit on dead letters has to know; None if it is none."""


class Attempts:
    """Drives the handler until a record has its outcomes."""

    def __init__(
        self,
        settings: Settings,
        handler: Handler,
        *,
        tracer: RecordTracer | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._tiers = retry_tiers(settings)
        self._uploads = settings.topics.uploads
        self._handler = handler
        self._tracer = tracer or RecordTracer(None, group_id=settings.kafka.group_id)
        self._sleep = sleep
        self._chance = chance
        self._now = now

    async def resolve(
        self, record: SourceRecord, resources: Resources, reading: Reading = UNREAD, *, received_at_s: float
    ) -> Resolution:
        """Return what is to be published; raises fatal errors alone."""
        waited = None if record.topic == self._uploads else put_off(record)
        uploaded = _as_uploaded(record, waited) if waited else record
        attempts_before = waited.attempts if waited else 0
        delivery = self._tracer.delivery(_arrival(record, uploaded, received_at_s))
        # One function and no more: every record goes through it, and each one deeper costs all of them.
        for attempts_here in itertools.count(1):
            attempt = attempts_before + attempts_here
            # What follows from a failure is logged and published as a part of its attempt's trace.
            with delivery.attempt(attempt) as trace:
                job = Job(uploaded, attempt, received_at_s, resources, trace, reading)
                try:
                    outcomes = await self._handler(job)
                    self._check_sizes(outcomes)
                    trace.tell(_JUDGED)
                    return Resolution(outcomes, uploaded.timestamp_ms)
                except FatalError:
                    raise
                except ModstreamError as error:
                    failure = error
                except Exception as error:  # noqa: BLE001 - a defect must not stop the stream, nor pass unseen
                    failure = _unexpected(error)
                ATTEMPTS_FAILED.add(1, {labels.REASON: failure.reason})
                trace.fail(failure)
                step = self._after(job, record, waited or fresh(record), failure, attempts_here)
            if isinstance(step, Resolution):
                return step
            await self._pause(job, step.delay_s)
        raise AssertionError("counting ended")  # pragma: no cover - mypy cannot know that it does not

    async def _pause(self, job: Job, delay_s: float) -> None:
        """Wait for the next attempt without a work slot."""
        job.resources.release_slot()
        await self._sleep(delay_s)
        if not job.reading.is_fetched:
            await job.resources.acquire_slot()

    def _after(
        self, job: Job, record: SourceRecord, origin: Origin, failure: ModstreamError, attempts_here: int
    ) -> Resolution | AttemptAgain:
        following = next_tier(self._tiers, record.topic)
        match decide(failure, attempts_here, following, self._settings.retry, chance=self._chance):
            case AttemptAgain(delay_s) as again:
                _log("record.attempt_failed", job, failure, retry_in_s=round(delay_s, 3))
                job.trace.tell({names.OUTCOME: "attempt_failed"})
                return again
            case PutOff(tier):
                return self._put_off(job, origin, failure, tier)
            case GiveUp():
                return self._dead(job, origin, failure)

    def _check_sizes(self, outcomes: tuple[OutgoingRecord, ...]) -> None:
        limit_bytes = self._settings.kafka.max_request_bytes
        for outcome in outcomes:
            if (size_bytes := record_bytes(outcome)) > limit_bytes:
                raise OutcomeTooLargeError(topic=outcome.topic, size_bytes=size_bytes, limit_bytes=limit_bytes)

    def _put_off(self, job: Job, origin: Origin, failure: ModstreamError, tier: RetryTier) -> Resolution:
        """Return what waits in a retry topic; what its headers made too large for that is given up."""
        now_s = self._now().timestamp()
        later = put_off_record(
            job.record,
            origin,
            tier,
            failure,
            attempt=job.attempt,
            now_s=now_s,
            trace_headers=job.trace.failure_headers(),
        )
        if record_bytes(later) > self._settings.kafka.max_request_bytes:
            return self._dead(job, origin, failure)
        _log("record.put_off", job, failure, retry_in_s=tier.delay_s)
        job.trace.tell({names.OUTCOME: "put_off"})
        sent = replace(later, span=job.trace.sending(tier.topic).span)
        return Resolution((sent,), job.record.timestamp_ms, "put_off", failure.reason)

    def _dead(self, job: Job, origin: Origin, failure: ModstreamError) -> Resolution:
        _log("record.dead_lettered", job, failure)
        job.trace.tell({names.OUTCOME: "dead_lettered"})
        topic = self._settings.topics.dead_letters
        letter = dead_letter(
            job.record,
            origin,
            failure,
            attempt=job.attempt,
            topic=topic,
            failed_at=self._now(),
            max_bytes=self._settings.kafka.max_request_bytes,
            trace_headers=job.trace.failure_headers(),
        )
        sent = replace(letter, span=job.trace.sending(topic).span)
        fault = _fault(failure, job.reading)
        return Resolution((sent,), job.record.timestamp_ms, "dead_lettered", failure.reason, fault)


def _fault(failure: ModstreamError, reading: Reading) -> Fault:
    """Return how a dead letter counts; no uploader can bring about that a store of the operator fails."""
    blame = failure.blame
    if reading.is_in_own_store and isinstance(failure, TransientError):
        blame = "service"
    return Fault(failure.reason, blame, reading.tenant, reading.host if blame == "uploader" else "")


def _log(event: str, job: Job, failure: ModstreamError, **facts: object) -> None:
    log.warning(event, attempt=job.attempt, error=failure, **facts)


def _as_uploaded(record: SourceRecord, origin: Origin) -> SourceRecord:
    """Return a record with its first coordinates: it is judged and told about as if it had never waited."""
    return record._replace(
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
        timestamp_ms=origin.timestamp_ms,
    )


def _arrival(record: SourceRecord, uploaded: SourceRecord, received_at_s: float) -> Arrival:
    return Arrival(
        uploaded.topic,
        uploaded.partition,
        uploaded.offset,
        record.timestamp_ms,
        record.headers,
        received_at_s,
        None if record is uploaded else record.topic,
    )


def _unexpected(error: Exception) -> UnexpectedError:
    log.exception("record.unexpected_error")
    failure = UnexpectedError(kind=type(error).__qualname__, detail=_line(error))
    failure.__cause__ = error
    return failure


def _line(error: Exception) -> str:
    """Return where an exception was raised; its text may hold what must not be published."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"in {frames[-1].name}, line {frames[-1].lineno}" if frames else "from nowhere"
