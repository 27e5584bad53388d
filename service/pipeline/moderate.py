"""One event to its outcomes: decode → fetch → pixels → engine → decision → records to publish."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from schemas.base import now_utc
from schemas.image_uploaded import ImageReferenceV1, ImageUploadedV1
from service.inference.engine import Engine, EngineOutput, EngineRequest
from service.inference.errors import EngineTimeoutError
from service.media.types import DecodedImage, FetchedImage
from service.pipeline import outcomes
from service.pipeline.handler import Job
from service.pipeline.outcomes import Subject
from service.pixels import ImageSpec
from service.policy.decide import decide, worst_of
from service.policy.policy import Policy
from service.settings import TopicSettings
from service.stream.codec import decode_upload, encode_tags, encode_verdict
from service.stream.records import OutgoingRecord
from service.telemetry.logs import bind_event, bind_record
from service.telemetry.record_trace import RecordTrace, RecordTracer


class Fetcher(Protocol):
    """Turns a reference into an encoded image file."""

    async def fetch(self, reference: ImageReferenceV1) -> FetchedImage:
        """Fetch one image."""
        ...


class Decoder(Protocol):
    """Turns an encoded image file into checked pixels."""

    async def decode(self, fetched: FetchedImage, spec: ImageSpec) -> DecodedImage:
        """Decode one image."""
        ...


class Policies(Protocol):
    """Knows the policies by name."""

    def select(self, name: str | None) -> Policy:
        """Return a policy, the default for None; raise `RejectedError` for an unknown name."""
        ...


class Moderator:
    """Handles jobs one by one; as many at a time as are admitted."""

    def __init__(
        self,
        *,
        fetcher: Fetcher,
        decoder: Decoder,
        engine: Engine,
        engine_timeout_s: float,
        policies: Policies,
        topics: TopicSettings,
        tracer: RecordTracer,
        now: Callable[[], datetime] = now_utc,
    ) -> None:
        self._fetcher = fetcher
        self._decoder = decoder
        self._engine = engine
        self._engine_timeout_s = engine_timeout_s
        self._policies = policies
        self._topics = topics
        self._tracer = tracer
        self._now = now

    async def __call__(self, job: Job) -> tuple[OutgoingRecord, ...]:
        """Return the records to publish for one input record; raise what its dead letter or retry will tell."""
        record = job.record
        with (
            bind_record(topic=record.topic, partition=record.partition, offset=record.offset),
            self._tracer.process(
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                headers=record.headers,
                received_at_s=job.received_at_s,
            ) as trace,
        ):
            event = decode_upload(record).event
            bind_event(event.image_id)
            trace.identify(event.image_id)
            policy = self._policies.select(event.policy)
            subject = Subject(record, job.attempt, event, await self._image(job, event, trace))
            with trace.stage("engine"):
                outputs = await self._judge(subject)
            return self._publish(subject, policy, outputs, trace)

    async def _image(self, job: Job, event: ImageUploadedV1, trace: RecordTrace) -> DecodedImage:
        with trace.stage("fetch"):
            fetched = await self._fetcher.fetch(event.image)
        job.hold_bytes(len(fetched.data))
        with trace.stage("decode"):
            return await self._decoder.decode(fetched, self._engine.description.image_spec)

    async def _judge(self, subject: Subject) -> list[EngineOutput]:
        """Judge all frames side by side, in order."""
        try:
            async with asyncio.timeout(self._engine_timeout_s), asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._engine.judge(request), name=f"judge {request.request_id}")
                    for request in _requests(subject)
                ]
        except TimeoutError:
            raise EngineTimeoutError(limit_s=self._engine_timeout_s) from None
        except ExceptionGroup as failures:
            # Frames of one image fail for one cause; the first tells it.
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    def _publish(
        self, subject: Subject, policy: Policy, outputs: Sequence[EngineOutput], trace: RecordTrace
    ) -> tuple[OutgoingRecord, ...]:
        records = []
        if "moderation" in subject.event.tasks:
            records.append(self._verdict(subject, policy, outputs, trace))
        if "tags" in subject.event.tasks:
            records.append(self._tags(subject, outputs, trace))
        return tuple(records)

    def _verdict(
        self, subject: Subject, policy: Policy, outputs: Sequence[EngineOutput], trace: RecordTrace
    ) -> OutgoingRecord:
        engine = self._engine.description
        with trace.stage("decide"):
            scores = worst_of([output.scores for output in outputs])
            result = decide(policy, scores, covers=engine.covers, hints=engine.hints)
        verdict = outcomes.verdict(
            subject,
            engine=engine,
            scores=scores,
            policy=policy,
            result=result,
            timings_ms=trace.timings_ms(),
            moderated_at=self._now(),
        )
        with trace.sending(self._topics.verdicts) as headers:
            return encode_verdict(verdict, topic=self._topics.verdicts, source=subject.record, trace_headers=headers)

    def _tags(self, subject: Subject, outputs: Sequence[EngineOutput], trace: RecordTrace) -> OutgoingRecord:
        tags = outcomes.tags(subject, engine=self._engine.description, outputs=outputs, tagged_at=self._now())
        with trace.sending(self._topics.tags) as headers:
            return encode_tags(tags, topic=self._topics.tags, source=subject.record, trace_headers=headers)


def _requests(subject: Subject) -> list[EngineRequest]:
    event = subject.event
    return [
        EngineRequest(
            request_id=f"{subject.record.topic}/{subject.record.partition}/{subject.record.offset}/{frame}",
            pixels=pixels,
            wants_scores="moderation" in event.tasks,
            wants_tags="tags" in event.tasks,
            caption=event.caption,
        )
        for frame, pixels in enumerate(subject.image.frames)
    ]
