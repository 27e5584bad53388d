"""One record to its outcomes: attempts in this process, then a retry topic, then its dead letter."""

import asyncio
import itertools
import random
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from service.core.errors import FatalError, ModstreamError, TransientError, UnexpectedError
from service.core.headers import ENGINE_LOSSES
from service.core.losses import EngineLosses
from service.core.records import Headers, SourceRecord
from service.delivery.dead_letter import DeadLetters
from service.delivery.dead_letter_limit import Fault
from service.delivery.handler import Handler, Job, Reading, ReceivedRecord, TenantOf, names_no_tenant
from service.delivery.origin import Origin, as_uploaded, fresh, origin_of
from service.delivery.resolution import Resolution
from service.delivery.retry import (
    AttemptAgain,
    Defer,
    GiveUp,
    RetryTier,
    decide,
    deferred_record,
    next_tier,
    retry_tiers,
)
from service.kafka.errors import OutcomesRefusedError, OutcomeTooLargeError
from service.kafka.topic_limits import TOPIC_CONFIG, TopicLimits
from service.settings.settings import Settings
from service.telemetry import labels, names
from service.telemetry.instruments import ATTEMPTS_FAILED
from service.telemetry.record_trace import Arrival, RecordTracer
from service.telemetry.recording_span import RecordingSpan

log = structlog.get_logger(__name__)

_JUDGED = {names.OUTCOME: "judged"}


class Attempts:
    """Calls the handler for a record until there is a resolution."""

    def __init__(
        self,
        settings: Settings,
        handler: Handler,
        *,
        limits: TopicLimits | None = None,
        tracer: RecordTracer | None = None,
        tenant_of: TenantOf = names_no_tenant,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._tiers = retry_tiers(settings)
        self._uploads = settings.topics.uploads
        self._handler = handler
        kafka = settings.kafka
        self._limits = limits or TopicLimits(kafka.max_request_bytes, compression=kafka.compression)
        self._dead_letters = DeadLetters(settings, self._limits, now=now, tenant_of=tenant_of)
        self._tracer = tracer or RecordTracer(None, group_id=settings.kafka.group_id)
        self._sleep = sleep
        self._chance = chance
        self._now = now

    async def resolve(self, received: ReceivedRecord) -> Resolution:
        """Return the resolution of a record: outcomes, a record for a retry topic, or a dead letter.

        Raises only fatal errors.
        """
        record, reading, received_at_s = received.record, received.reading, received.received_at_s
        waited = None if record.topic == self._uploads else origin_of(record, uploads=self._uploads)
        uploaded = as_uploaded(record, waited) if waited else record
        attempts_before = waited.attempts if waited else 0
        losses = losses_of(record) if waited else EngineLosses()
        delivery = self._tracer.delivery(_arrival(record, uploaded, received_at_s))
        # One function and no more: every record goes through it, and each one deeper costs all of them.
        for attempts_here in itertools.count(1):
            attempt = attempts_before + attempts_here
            # What follows from a failure is logged and published as a part of its attempt's trace.
            with delivery.attempt(attempt) as trace:
                job = Job(uploaded, attempt, received_at_s, received, trace, reading, losses, record)
                try:
                    if record.unreadable is not None:
                        record.unreadable.fail()
                    outcomes = await self._handler(job)
                    for outcome in outcomes:
                        self._limits.check(outcome)
                    trace.set_attributes(_JUDGED)
                    return Resolution(outcomes, uploaded.timestamp_ms, attempt=attempt)
                except FatalError:
                    raise
                except Exception as error:  # noqa: BLE001 - a defect must not stop the stream, nor pass unseen
                    step = self._failed(job, received, waited, error, attempts_here)
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

    def _failed(
        self, job: Job, received: ReceivedRecord, waited: Origin | None, error: Exception, attempts_here: int
    ) -> Resolution | AttemptAgain:
        """Return what follows from a failure; the least dead letter where that cannot be built."""
        reason = error.reason if isinstance(error, ModstreamError) else UnexpectedError.reason
        try:
            failure = error if isinstance(error, ModstreamError) else _unexpected(error)
            ATTEMPTS_FAILED.add(1, {labels.REASON: reason})
            job.trace.fail(failure)
            return self._after(job, received.record, waited or fresh(received.record), failure, attempts_here)
        except Exception:  # noqa: BLE001 - a defect met here would be met again at each start
            return self.reduced(received, reason, attempt=job.attempt)

    def _after(
        self, job: Job, record: SourceRecord, origin: Origin, failure: ModstreamError, attempts_here: int
    ) -> Resolution | AttemptAgain:
        following = next_tier(self._tiers, record.topic)
        match decide(failure, attempts_here, following, self._settings.retry, chance=self._chance):
            case AttemptAgain(delay_s) as again:
                _log("record.attempt_failed", job, failure, retry_in_s=round(delay_s, 3))
                job.trace.set_attributes({names.OUTCOME: "attempt_failed"})
                return again
            case Defer(tier):
                return self._defer(job, origin, failure, tier)
            case GiveUp():
                return self._dead(job, origin, failure)

    def _defer(self, job: Job, origin: Origin, failure: ModstreamError, tier: RetryTier) -> Resolution:
        """Return what waits in a retry topic; what its headers made too large for that is given up."""
        now_s = self._now().timestamp()
        later = deferred_record(
            job.record,
            origin,
            tier,
            failure,
            attempt=job.attempt,
            now_s=now_s,
            trace_headers=(*job.trace.failure_headers(), *loss_headers(job.losses)),
        )
        if not self._limits.accepts(later):
            return self._dead(job, origin, failure)
        _log("record.put_off", job, failure, retry_in_s=tier.delay_s)
        job.trace.set_attributes({names.OUTCOME: "put_off"})
        sent = replace(later, span=job.trace.sending(tier.topic).span)
        return Resolution((sent,), job.record.timestamp_ms, "put_off", failure.reason, job.attempt)

    def _dead(self, job: Job, origin: Origin, failure: ModstreamError) -> Resolution:
        _log("record.dead_lettered", job, failure)
        job.trace.set_attributes({names.OUTCOME: "dead_lettered"})
        trace_headers = job.trace.failure_headers()
        dead_letter, *notices = self._dead_letters.of(
            job.record, origin, failure, tenant=job.reading.tenant, attempt=job.attempt, trace_headers=trace_headers
        )
        sent = replace(dead_letter, span=job.trace.sending(dead_letter.topic).span)
        fault = _fault(failure, job.reading)
        outcomes = (sent, *notices)
        return Resolution(outcomes, job.record.timestamp_ms, "dead_lettered", failure.reason, job.attempt, fault)

    def replace(self, received: ReceivedRecord, resolution: Resolution, refusal: OutcomesRefusedError) -> Resolution:
        """Return a resolution with outcomes that fit, for one whose outcomes a topic refused at its commit.

        A dead letter is made smaller; anything else becomes one. Raises `DeadLetterUnfitError`.
        """
        for outcome in resolution.outcomes:
            if isinstance(outcome.span, RecordingSpan):
                outcome.span.fail(refusal)
                outcome.span.end()
        if resolution.outcome == "dead_lettered":
            return resolution._replace(outcomes=self._dead_letters.smaller(resolution.outcomes, refusal))
        try:
            return self._too_large(received, resolution, refusal)
        except Exception:  # noqa: BLE001 - as in `_failed`
            return self.reduced(received, OutcomeTooLargeError.reason, attempt=resolution.attempt)

    def _too_large(self, received: ReceivedRecord, resolution: Resolution, refusal: OutcomesRefusedError) -> Resolution:
        record, reading = received.record, received.reading
        waited = None if record.topic == self._uploads else origin_of(record, uploads=self._uploads)
        uploaded = as_uploaded(record, waited) if waited else record
        failure = OutcomeTooLargeError(
            topic=refusal.topic,
            size_bytes=refusal.size_bytes,
            limit_bytes=self._limits.cut_bytes(refusal.topic),
            limit=f"{TOPIC_CONFIG} of the topic",
        )
        ATTEMPTS_FAILED.add(1, {labels.REASON: failure.reason})
        log.warning(
            "record.dead_lettered",
            topic=uploaded.topic,
            partition=uploaded.partition,
            offset=uploaded.offset,
            attempt=resolution.attempt,
            error=failure,
        )
        outcomes = self._dead_letters.of(
            uploaded, waited or fresh(record), failure, tenant=reading.tenant, attempt=resolution.attempt
        )
        fault = _fault(failure, reading)
        return Resolution(outcomes, resolution.uploaded_ms, "dead_lettered", failure.reason, resolution.attempt, fault)

    def reduced(
        self, received: ReceivedRecord, reason: str = UnexpectedError.reason, *, attempt: int = 1
    ) -> Resolution:
        """Return the least dead letter, called while an exception is handled that kept anything else from being built.

        `reason` is what the record itself failed of.
        """
        record, reading = received.record, received.reading
        with suppress(Exception):  # the log may be what failed
            place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            log.exception("record.dead_letter_reduced", attempt=attempt, reason=reason, **place)
        outcomes = (self._dead_letters.least(record, reason, attempt=attempt),)
        fault = Fault(reason, UnexpectedError.blame, reading.tenant, reading.host)
        return Resolution(outcomes, record.timestamp_ms, "dead_lettered", reason, attempt, fault)


def _fault(failure: ModstreamError, reading: Reading) -> Fault:
    """Return how a dead letter counts; no uploader can bring about that a store of the operator fails."""
    blame = failure.blame
    if reading.is_in_own_store and isinstance(failure, TransientError):
        blame = "service"
    return Fault(failure.reason, blame, reading.tenant, reading.host if blame == "uploader" else "")


def loss_headers(losses: EngineLosses | None) -> Headers:
    """Return the header with the engine servers that a record has lost; empty for a record without losses."""
    return ((ENGINE_LOSSES, losses.encode()),) if losses is not None and losses.is_suspect else ()


def losses_of(record: SourceRecord) -> EngineLosses:
    """Return the server losses in a record's headers; only for topics that this service alone writes."""
    return EngineLosses.decode(dict(record.headers).get(ENGINE_LOSSES) or b"")


def _log(event: str, job: Job, failure: ModstreamError, **facts: object) -> None:
    log.warning(event, attempt=job.attempt, error=failure, **facts)


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
