"""One upload event to its outcomes: read → fetch → decode → engine → decide → records to publish."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from schemas.base import now_utc
from schemas.image_uploaded import ImageByUrlV1, ImageReferenceV1, ImageUploadedV1
from service.core.fair_queue import FairTurns
from service.core.losses import EngineLosses
from service.core.pixels import ImageSpec
from service.core.records import OutgoingRecord
from service.core.spans import waiting
from service.delivery.engine_suspects import EngineSuspects
from service.delivery.handler import Job
from service.events.codec import encode_tags, encode_verdict
from service.inference.engine import EngineDescription, EngineOutput
from service.media.image_memory import ImageMemory, Reservation
from service.media.types import DecodedImage, FetchedImage
from service.moderation import outcomes
from service.moderation.engine_client import EngineClient
from service.moderation.outcomes import Subject, VerdictMetrics
from service.moderation.reading import EventReader
from service.policy.decide import DecisionResult, decide, worst_of
from service.policy.policy import Policy
from service.settings.delivery import TopicSettings
from service.settings.kafka import DEFAULT_MAX_EVENT_BYTES
from service.telemetry import names
from service.telemetry.logs import bind_event
from service.telemetry.record_trace import RecordTrace

_IN_ENGINE = 2
"""Images handed to the engine, in what it works on at a time: as many again wait there, so that it never idles. It
takes what came first, so the others wait here, by tenant in turn."""

_NOT_WATCHED: AbstractAsyncContextManager[None] = nullcontext()
"""Context for engines that no record can end. Many tasks may enter it at the same time."""


class Fetcher(Protocol):
    """Turns an image reference into an encoded image file."""

    async def fetch(self, reference: ImageReferenceV1, memory: Reservation) -> FetchedImage:
        """Fetch one image, after its memory is reserved."""
        ...


class Decoder(Protocol):
    """Turns an encoded image file into checked pixels."""

    async def decode(self, fetched: FetchedImage, spec: ImageSpec, memory: Reservation) -> DecodedImage:
        """Decode one image, after the memory of its pixels is reserved."""
        ...


class Policies(Protocol):
    """The policies by name."""

    @property
    def default(self) -> Policy:
        """The policy for events that name none and tenants without one."""
        ...

    def select(self, name: str | None, *, tenant: str) -> Policy:
        """Return a policy by its name, or the tenant's if None; raise `RejectedError` for an unknown name."""
        ...


class Moderator:
    """Handles jobs: one upload event to the records of its outcomes. It may handle many at the same time."""

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
    ) -> None:
        self._fetcher = fetcher
        self._decoder = decoder
        self._engine_client = engine_client
        self._policies = policies
        self._topics = topics
        self._memory = memory or ImageMemory(sys.maxsize)
        self._engine_turns = FairTurns(_IN_ENGINE * engine_client.describe(policies.default.instructions).concurrency)
        self._engines: dict[str, EngineDescription] = {}
        self._reader = EventReader(max_event_bytes)
        self._suspects = suspects
        self._counts = counts or VerdictMetrics()
        self._now = now

    async def __call__(self, job: Job) -> tuple[OutgoingRecord, ...]:
        """Return the records to publish for one input record; raise the error that its dead letter or retry names."""
        reading = await self._reader.read(job)
        event: ImageUploadedV1 = reading.event
        bind_event(event.image_id)
        job.trace.identify(event.image_id)
        policy = self._policies.select(event.policy, tenant=event.tenant)
        engine = self._engine_for(policy)
        job.trace.set_attributes({names.TENANT: event.tenant, names.POLICY: policy.name})
        with self._memory.reservation(event.tenant) as memory:
            fetched = await self._fetch(job, event, memory)
            image = await self._decode(job, fetched, engine.image_spec, memory)
            losses = job.losses or EngineLosses()
            subject = Subject(job.record, job.attempt, event, image, losses, reading.event_id, reading.event_source)
            async with self._inside_engine(job):
                outputs = await self._judge(subject, policy, job.trace)
                return await self._outcomes(subject, policy, engine, outputs, job.trace)

    def _engine_for(self, policy: Policy) -> EngineDescription:
        """Return what the engine is for a policy; resolved once, because it is found by all of the policy's words."""
        engine = self._engines.get(policy.name)
        if engine is None:
            engine = self._engines[policy.name] = self._engine_client.describe(policy.instructions)
        return engine

    async def _fetch(self, job: Job, event: ImageUploadedV1, memory: Reservation) -> FetchedImage:
        """Return the image file; a record holds no work slot while its image comes from elsewhere."""
        if isinstance(event.image, ImageByUrlV1):
            job.resources.release_slot()
        with job.trace.stage("fetch") as span:
            fetched = await self._fetcher.fetch(event.image, memory)
            span.set(names.IMAGE_BYTES, len(fetched.data))
        return fetched

    async def _decode(self, job: Job, fetched: FetchedImage, spec: ImageSpec, memory: Reservation) -> DecodedImage:
        """Return the image's pixels."""
        await job.resources.acquire_slot()
        with job.trace.stage("decode") as span:
            image = await self._decoder.decode(fetched, spec, memory)
            span.set(names.IMAGE_MEDIA_TYPE, image.media_type)
        return image

    def _inside_engine(self, job: Job) -> AbstractAsyncContextManager[None]:
        """Return the context in which the engine works on a record, so that one that it dies of is known."""
        return _NOT_WATCHED if self._suspects is None else self._suspects.inside(job.delivered or job.record)

    async def _judge(self, subject: Subject, policy: Policy, trace: RecordTrace) -> Sequence[EngineOutput]:
        """Return the engine's output for each frame, asked in the tenant's turn."""
        with trace.stage("engine"):
            if not self._engine_turns.try_acquire():
                with waiting(names.WAIT_ENGINE):
                    await self._engine_turns.acquire(subject.event.tenant)
            try:
                return await self._engine_client.judge(subject, policy.instructions)
            finally:
                self._engine_turns.release()

    async def _outcomes(
        self,
        subject: Subject,
        policy: Policy,
        engine: EngineDescription,
        outputs: Sequence[EngineOutput],
        trace: RecordTrace,
    ) -> tuple[OutgoingRecord, ...]:
        """Return a record for each task of the event: the verdict, the tags."""
        records = []
        if "moderation" in subject.event.tasks:
            records.append(await self._verdict(subject, policy, engine, outputs, trace))
        if "tags" in subject.event.tasks:
            records.append(self._tags(subject, engine, outputs, trace))
        return tuple(records)

    async def _verdict(
        self,
        subject: Subject,
        policy: Policy,
        engine: EngineDescription,
        outputs: Sequence[EngineOutput],
        trace: RecordTrace,
    ) -> OutgoingRecord:
        scores, result = _decide(policy, engine, outputs, trace)
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
        self, subject: Subject, engine: EngineDescription, outputs: Sequence[EngineOutput], trace: RecordTrace
    ) -> OutgoingRecord:
        tags = outcomes.tags(subject, engine=engine, outputs=outputs, tagged_at=self._now())
        sending = trace.sending(self._topics.tags)
        record = encode_tags(tags, topic=self._topics.tags, source=subject.record, trace_headers=sending.headers)
        return replace(record, span=sending.span)


def _decide(
    policy: Policy, engine: EngineDescription, outputs: Sequence[EngineOutput], trace: RecordTrace
) -> tuple[Mapping[str, float] | None, DecisionResult]:
    """Return the worst scores of all frames, and what the policy decides on them."""
    with trace.stage("decide"):
        scores = worst_of([output.scores for output in outputs])
        unjudged = next((output.unjudged for output in outputs if output.unjudged), None)
        result = decide(policy, scores, covers=engine.covers, hints=engine.hints, unjudged=unjudged)
    trace.set_attributes(
        {names.STATUS: result.status, names.DECISION: result.decision, names.CATEGORY: result.deciding_category}
    )
    return scores, result
