"""One record to its outcomes: attempts in this process, then its dead letter."""

import asyncio
import random
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from service.errors import FatalError, ModstreamError, UnexpectedError
from service.pipeline.handler import Handler, Job
from service.pipeline.retry import AttemptAgain, decide
from service.settings import Settings
from service.stream.dead_letter import dead_letter
from service.stream.errors import OutcomeTooLargeError
from service.stream.origin import attempts_made
from service.stream.publishing import record_bytes
from service.stream.records import OutgoingRecord, SourceRecord

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Resolution:
    """What is published for a record, and why it is a dead letter if it is one."""

    outcomes: tuple[OutgoingRecord, ...]
    dead_reason: str | None = None


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
        self._handler = handler
        self._sleep = sleep
        self._chance = chance
        self._now = now

    async def resolve(
        self, record: SourceRecord, hold_bytes: Callable[[int], None], *, received_at_s: float
    ) -> Resolution:
        """Return what is to be published; raises fatal errors alone."""
        attempts_before = attempts_made(record)
        attempts_here = 0
        while True:
            attempts_here += 1
            job = Job(record, attempts_before + attempts_here, received_at_s, hold_bytes)
            try:
                return Resolution(await self._attempt(job))
            except FatalError:
                raise
            except ModstreamError as error:
                failure = error
            decision = decide(failure, attempts_here=attempts_here, settings=self._settings.retry, random=self._chance)
            if not isinstance(decision, AttemptAgain):
                return self._dead(job, failure)
            self._log(job, "record.attempt_failed", failure, retry_in_s=round(decision.delay_s, 3))
            await self._sleep(decision.delay_s)

    async def _attempt(self, job: Job) -> tuple[OutgoingRecord, ...]:
        try:
            outcomes = await self._handler(job)
        except ModstreamError:
            raise
        except Exception as error:  # the processor's boundary: a defect must not stop the stream, nor pass unseen
            log.exception("record.unexpected_error", topic=job.record.topic, offset=job.record.offset)
            raise UnexpectedError(kind=type(error).__qualname__, detail=_place(error)) from error
        self._check_sizes(outcomes)
        return outcomes

    def _check_sizes(self, outcomes: tuple[OutgoingRecord, ...]) -> None:
        limit_bytes = self._settings.kafka.max_request_bytes
        for outcome in outcomes:
            if (size_bytes := record_bytes(outcome)) > limit_bytes:
                raise OutcomeTooLargeError(topic=outcome.topic, size_bytes=size_bytes, limit_bytes=limit_bytes)

    def _dead(self, job: Job, failure: ModstreamError) -> Resolution:
        self._log(job, "record.dead_lettered", failure)
        letter = dead_letter(
            job.record,
            failure,
            attempt=job.attempt,
            topic=self._settings.topics.dead_letters,
            failed_at=self._now(),
            max_bytes=self._settings.kafka.max_request_bytes,
        )
        return Resolution((letter,), failure.reason)

    def _log(self, job: Job, event: str, failure: ModstreamError, **facts: object) -> None:
        record = job.record
        place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        log.warning(event, **place, attempt=job.attempt, error=failure, **facts)


def _place(error: Exception) -> str:
    """Return where an exception was raised; its text may hold what must not be published."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"in {frames[-1].name}, line {frames[-1].lineno}" if frames else "from nowhere"
