"""One event to its outcomes: decode → fetch → pixels → engine → decision → words for it → records to publish."""

import asyncio
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from schemas.base import now_utc
from schemas.image_uploaded import ImageByUrlV1, ImageInlineV1, ImageReferenceV1, ImageUploadedV1
from service.core.errors import RejectedError
from service.core.fair_queue import FairTurns
from service.core.losses import EngineLosses
from service.core.pixels import ImageSpec
from service.core.records import OutgoingRecord, SourceRecord
from service.core.spans import waiting
from service.delivery.engine_suspects import EngineSuspects
from service.delivery.handler import READING_TURN_S, UNREAD, Job, Reading
from service.events.codec import UploadEvent, decode_upload, encode_tags, encode_verdict
from service.inference.engine import EngineOutput
from service.media.fetch.hosts import host_of_url, is_own_store
from service.media.image_memory import ImageMemory, Reservation
from service.media.types import DecodedImage, FetchedImage
from service.moderation import outcomes
from service.moderation.engine_client import EngineClient
from service.moderation.outcomes import Subject, VerdictMetrics
from service.policy.decide import decide, worst_of
from service.policy.policy import Policy
from service.settings.delivery import TopicSettings
from service.settings.kafka import DEFAULT_MAX_EVENT_BYTES
from service.telemetry import names
from service.telemetry.logs import bind_event
from service.telemetry.record_trace import RecordTrace

_IN_ENGINE = 2
"""Images handed to the engine, in what it works on at a time: as many again wait there, so that it never idles. It
takes what came first, so the others wait here, by tenant in turn."""


class Fetcher(Protocol):
    """Turns a reference into an encoded image file."""

    async def fetch(self, reference: ImageReferenceV1, memory: Reservation) -> FetchedImage:
        """Fetch one image, its memory reserved before."""
        ...


class Decoder(Protocol):
    """Turns an encoded image file into checked pixels."""

    async def decode(self, fetched: FetchedImage, spec: ImageSpec, memory: Reservation) -> DecodedImage:
        """Decode one image, the memory of its pixels reserved before."""
        ...


class Policies(Protocol):
    """Knows the policies by name."""

    @property
    def default(self) -> Policy:
        """The policy of events and tenants that have none of their own."""
        ...

    def select(self, name: str | None, *, tenant: str) -> Policy:
        """Return a policy by its name, or the tenant's if None; raise `RejectedError` for an unknown name."""
        ...


def read_upload(
    record: SourceRecord, *, max_bytes: int = DEFAULT_MAX_EVENT_BYTES, own_hosts: Collection[str] = ()
) -> Reading:
    """Return what an upload says; for one that cannot be read the handler raises, when it reads it again."""
    try:
        return _reading(decode_upload(record, max_bytes=max_bytes), own_hosts)
    except RejectedError:
        return UNREAD


def _reading(upload: UploadEvent, own_hosts: Collection[str] = ()) -> Reading:
    event = upload.event
    reading = Reading(event.tenant, event=event)
    if upload.envelope is not None:
        reading = reading._replace(event_id=upload.envelope.id, event_source=upload.envelope.source)
    if isinstance(event.image, ImageInlineV1):
        # The text, and the file that is decoded from it.
        held_bytes = len(event.image.inline) + len(event.image.inline) * 3 // 4
        return reading._replace(held_bytes=held_bytes)
    host = host_of_url(event.image.url)
    in_store = is_own_store(host)
    chosen_host = "" if in_store or host.partition(":")[0] in own_hosts else host
    return reading._replace(is_fetched=True, host=chosen_host, is_in_own_store=in_store)


class Moderator:
    """Handles jobs one by one; as many at a time as are admitted."""

    def __init__(
        self,
        *,
        fetcher: Fetcher,
        decoder: Decoder,
        engine_client: EngineClient,
        policies: Policies,
        topics: TopicSettings,
        memory: ImageMemory | None = None,
        max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES,
        suspects: EngineSuspects | None = None,
        counts: VerdictMetrics | None = None,
        now: Callable[[], datetime] = now_utc,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._fetcher = fetcher
        self._decoder = decoder
        self._engine_client = engine_client
        self._policies = policies
        self._topics = topics
        self._memory = memory or ImageMemory(sys.maxsize)
        self._engine_turns = FairTurns(_IN_ENGINE * engine_client.describe(policies.default.instructions).concurrency)
        self._max_event_bytes = max_event_bytes
        self._turn = asyncio.Lock()
        self._reading_s = 0.0
        self._clock = clock
        self._suspects = suspects
        self._counts = counts or VerdictMetrics()
        self._now = now

    async def __call__(self, job: Job) -> tuple[OutgoingRecord, ...]:
        """Return the records to publish for one input record; raise the error that its dead letter or retry names."""
        trace = job.trace
        reading, event = await self._read(job)
        bind_event(event.image_id)
        trace.identify(event.image_id)
        policy = self._policies.select(event.policy, tenant=event.tenant)
        trace.set_attributes({names.TENANT: event.tenant, names.POLICY: policy.name})
        with self._memory.reservation(event.tenant) as memory:
            image = await self._image(job, event, policy, memory)
            subject = Subject(
                job.record,
                job.attempt,
                event,
                image,
                job.losses or EngineLosses(),
                reading.event_id,
                reading.event_source,
            )
            if self._suspects is None:
                return await self._judged(subject, policy, trace)
            async with self._suspects.inside(job.delivered or job.record):
                return await self._judged(subject, policy, trace)

    async def _judged(self, subject: Subject, policy: Policy, trace: RecordTrace) -> tuple[OutgoingRecord, ...]:
        with trace.stage("engine"):
            outputs = await self._judge(subject, policy)
        return await self._publish(subject, policy, outputs, trace)

    async def _read(self, job: Job) -> tuple[Reading, ImageUploadedV1]:
        if job.reading.event is not None:
            return job.reading, job.reading.event
        upload = await self._read_in_turn(job.record)
        return _reading(upload), upload.event

    async def _read_in_turn(self, record: SourceRecord) -> UploadEvent:
        """Read an event that was not read when it was received.

        The worst take milliseconds each, so the event loop gets its turn whenever some of them have taken a few.
        """
        async with self._turn:
            begin_s = self._clock()
            try:
                return decode_upload(record, max_bytes=self._max_event_bytes)
            finally:
                self._reading_s += self._clock() - begin_s
                if self._reading_s > READING_TURN_S:
                    self._reading_s = 0.0
                    await asyncio.sleep(0)

    async def _image(self, job: Job, event: ImageUploadedV1, policy: Policy, memory: Reservation) -> DecodedImage:
        if isinstance(event.image, ImageByUrlV1):
            job.resources.release_slot()
        with job.trace.stage("fetch") as span:
            fetched = await self._fetcher.fetch(event.image, memory)
            span.set(names.IMAGE_BYTES, len(fetched.data))
        await job.resources.acquire_slot()
        with job.trace.stage("decode") as span:
            image = await self._decoder.decode(
                fetched, self._engine_client.describe(policy.instructions).image_spec, memory
            )
            span.set(names.IMAGE_MEDIA_TYPE, image.media_type)
        return image

    async def _judge(self, subject: Subject, policy: Policy) -> Sequence[EngineOutput]:
        if not self._engine_turns.try_acquire():
            with waiting(names.WAIT_ENGINE):
                await self._engine_turns.acquire(subject.event.tenant)
        try:
            return await self._engine_client.judge(subject, policy.instructions)
        finally:
            self._engine_turns.release()

    async def _publish(
        self, subject: Subject, policy: Policy, outputs: Sequence[EngineOutput], trace: RecordTrace
    ) -> tuple[OutgoingRecord, ...]:
        records = []
        if "moderation" in subject.event.tasks:
            records.append(await self._verdict(subject, policy, outputs, trace))
        if "tags" in subject.event.tasks:
            records.append(self._tags(subject, policy, outputs, trace))
        return tuple(records)

    async def _verdict(
        self, subject: Subject, policy: Policy, outputs: Sequence[EngineOutput], trace: RecordTrace
    ) -> OutgoingRecord:
        engine = self._engine_client.describe(policy.instructions)
        with trace.stage("decide"):
            scores = worst_of([output.scores for output in outputs])
            unjudged = next((output.unjudged for output in outputs if output.unjudged), None)
            result = decide(policy, scores, covers=engine.covers, hints=engine.hints, unjudged=unjudged)
        trace.set_attributes(
            {
                names.STATUS: result.status,
                names.DECISION: result.decision,
                names.CATEGORY: result.deciding_category,
            }
        )
        explanations: Mapping[str, str] = {}
        if result.deciding_category is not None and engine.explains:
            with trace.stage("explain"):
                explanations = await self._engine_client.explain(subject, policy.instructions, result, outputs)
        verdict = outcomes.verdict(
            subject,
            engine=engine,
            outputs=outputs,
            scores=scores,
            policy=policy,
            result=result,
            explanations=explanations,
            timings_ms=trace.timings_ms(),
            moderated_at=self._now(),
        )
        self._counts.count(verdict)
        sending = trace.sending(self._topics.verdicts)
        record = encode_verdict(
            verdict, topic=self._topics.verdicts, source=subject.record, trace_headers=sending.headers
        )
        return replace(record, span=sending.span)

    def _tags(
        self, subject: Subject, policy: Policy, outputs: Sequence[EngineOutput], trace: RecordTrace
    ) -> OutgoingRecord:
        engine = self._engine_client.describe(policy.instructions)
        tags = outcomes.tags(subject, engine=engine, outputs=outputs, tagged_at=self._now())
        sending = trace.sending(self._topics.tags)
        record = encode_tags(tags, topic=self._topics.tags, source=subject.record, trace_headers=sending.headers)
        return replace(record, span=sending.span)
