"""One record to its outcomes: attempts in this process, then a retry topic, then its dead letter."""

import asyncio
import itertools
import random
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from service.errors import FatalError, ModstreamError, UnexpectedError
from service.pipeline.handler import Handler, Job
from service.pipeline.retry import AttemptAgain, GiveUp, PutOff, decide
from service.settings import Settings
from service.stream.dead_letter import dead_letter
from service.stream.errors import OutcomeTooLargeError
from service.stream.origin import Origin, fresh, put_off
from service.stream.publishing import record_bytes
from service.stream.records import OutgoingRecord, SourceRecord
from service.stream.retry_topics import RetryTier, next_tier, put_off_record, retry_tiers
from service.telemetry import names
from service.telemetry.instruments import ATTEMPTS_FAILED

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Resolution:
    """What is published for a record."""

    outcomes: tuple[OutgoingRecord, ...]
    uploaded_ms: int
    """Kafka timestamp of the record where it was first published."""
    outcome: names.Outcome = "judged"
    """One that is put off waits in a retry topic: neither a success nor given up."""
    reason: str = ""
    """Why it was not judged."""

    @property
    def dead_reason(self) -> str | None:
        """Why it is a dead letter; None if it is none."""
        return self.reason if self.outcome == "dead_lettered" else None


class Attempts:
    """Drives the handler until a record has its outcomes."""

    def __init__(
        self,
        settings: Settings,
        handler: Handler,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._tiers = retry_tiers(settings)
        self._uploads = settings.topics.uploads
        self._handler = handler
        self._sleep = sleep
        self._chance = chance
        self._now = now

    async def resolve(
        self, record: SourceRecord, hold_bytes: Callable[[int], None], *, received_at_s: float
    ) -> Resolution:
        """Return what is to be published; raises fatal errors alone."""
        waited = None if record.topic == self._uploads else put_off(record)
        uploaded = _as_uploaded(record, waited) if waited else record
        attempts_before = waited.attempts if waited else 0
        for attempts_here in itertools.count(1):
            job = Job(uploaded, attempts_before + attempts_here, received_at_s, hold_bytes)
            try:
                return Resolution(await self._attempt(job), uploaded.timestamp_ms)
            except FatalError:
                raise
            except ModstreamError as error:
                failure = error
            ATTEMPTS_FAILED.add(1, {names.REASON: failure.reason})
            following = next_tier(self._tiers, record.topic)
            match decide(failure, attempts_here, following, self._settings.retry, chance=self._chance):
                case AttemptAgain(delay_s):
                    _log("record.attempt_failed", job, failure, retry_in_s=round(delay_s, 3))
                    await self._sleep(delay_s)
                case PutOff(tier):
                    return self._put_off(job, waited or fresh(record), failure, tier)
                case GiveUp():
                    return self._dead(job, waited or fresh(record), failure)
        raise AssertionError("counting ended")  # pragma: no cover - mypy cannot know that it does not

    async def _attempt(self, job: Job) -> tuple[OutgoingRecord, ...]:
        try:
            outcomes = await self._handler(job)
        except ModstreamError:
            raise
        except Exception as error:  # the processor's boundary: a defect must not stop the stream, nor pass unseen
            log.exception("record.unexpected_error", **_place_of(job))
            raise UnexpectedError(kind=type(error).__qualname__, detail=_line(error)) from error
        self._check_sizes(outcomes)
        return outcomes

    def _check_sizes(self, outcomes: tuple[OutgoingRecord, ...]) -> None:
        limit_bytes = self._settings.kafka.max_request_bytes
        for outcome in outcomes:
            if (size_bytes := record_bytes(outcome)) > limit_bytes:
                raise OutcomeTooLargeError(topic=outcome.topic, size_bytes=size_bytes, limit_bytes=limit_bytes)

    def _put_off(self, job: Job, origin: Origin, failure: ModstreamError, tier: RetryTier) -> Resolution:
        """Return what waits in a retry topic; what its headers made too large for that is given up."""
        now_s = self._now().timestamp()
        later = put_off_record(job.record, origin, tier, failure, attempt=job.attempt, now_s=now_s)
        if record_bytes(later) > self._settings.kafka.max_request_bytes:
            return self._dead(job, origin, failure)
        _log("record.put_off", job, failure, retry_in_s=tier.delay_s)
        return Resolution((later,), job.record.timestamp_ms, "put_off", failure.reason)

    def _dead(self, job: Job, origin: Origin, failure: ModstreamError) -> Resolution:
        _log("record.dead_lettered", job, failure)
        letter = dead_letter(
            job.record,
            origin,
            failure,
            attempt=job.attempt,
            topic=self._settings.topics.dead_letters,
            failed_at=self._now(),
            max_bytes=self._settings.kafka.max_request_bytes,
        )
        return Resolution((letter,), job.record.timestamp_ms, "dead_lettered", failure.reason)


def _log(event: str, job: Job, failure: ModstreamError, **facts: object) -> None:
    log.warning(event, **_place_of(job), attempt=job.attempt, error=failure, **facts)


def _as_uploaded(record: SourceRecord, origin: Origin) -> SourceRecord:
    """Return a record with its first coordinates: it is judged and told about as if it had never waited."""
    return replace(
        record,
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
        timestamp_ms=origin.timestamp_ms,
    )


def _place_of(job: Job) -> dict[str, object]:
    return {"topic": job.record.topic, "partition": job.record.partition, "offset": job.record.offset}


def _line(error: Exception) -> str:
    """Return where an exception was raised; its text may hold what must not be published."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"in {frames[-1].name}, line {frames[-1].lineno}" if frames else "from nowhere"
