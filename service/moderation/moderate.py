"""One upload event to its outcomes: read → fetch → decode → engine → decide → records to publish."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, Protocol

from schemas.base import now_utc
from schemas.image_uploaded import ImageByUrlV1, ImageReferenceV1, ImageUploadedV1
from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.core.fair_queue import DEFAULT_API_SHARE, FairTurns, Side
from service.core.losses import EngineLosses
from service.core.pixels import ImageSpec
from service.core.records import OutgoingRecord
from service.core.spans import waiting
from service.delivery.engine_suspects import EngineSuspects
from service.delivery.handler import Job
from service.events.codec import encode_tags, encode_verdict
from service.inference.engine import EngineOutput
from service.media.image_memory import ImageMemory, Reservation
from service.media.types import DecodedImage, FetchedImage
from service.moderation import outcomes
from service.moderation.calibrations import calibration_for
from service.moderation.engine_client import EngineClient
from service.moderation.engine_view import PolicyEngine, judged_views
from service.moderation.outcomes import Subject, VerdictMetrics
from service.moderation.reading import EventReader
from service.moderation.shadow import Judgement, Shadows
from service.policy.calibration import Calibration
from service.policy.judged import ImageDecision, JudgedImage, decide_image
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

    @property
    def by_name(self) -> Mapping[str, Policy]:
        """The policies by name."""
        ...

    @property
    def calibration(self) -> Calibration | None:
        """The calibration of all scores that the policies are applied to; None if scores count as they are."""
        ...

    def select(self, name: str | None, *, tenant: str) -> Policy:
        """Return a policy by its name, or the tenant's if None; raise `RejectedError` for an unknown name."""
        ...


class Outcomes(NamedTuple):
    """What is known about one image: a verdict, tags or both, as its event asks."""

    verdict: VerdictV1 | None
    tags: TagsV1 | None


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
        api_share: float = DEFAULT_API_SHARE,
        shadows: Shadows | None = None,
        now: Callable[[], datetime] = now_utc,
    ) -> None:
        self._fetcher = fetcher
        self._decoder = decoder
        self._engine_client = engine_client
        self._policies = policies
        self._topics = topics
        self._memory = memory or ImageMemory(sys.maxsize)
        concurrency = engine_client.describe(policies.default.instructions).concurrency
        self._engine_turns = FairTurns(_IN_ENGINE * concurrency, api_share=api_share)
        self._engines: dict[str, PolicyEngine] = {}
        """By the policy's name: of the policy that had it last."""
        self._reader = EventReader(max_event_bytes)
        self._suspects = suspects
        self._counts = counts or VerdictMetrics()
        self._shadows = shadows or Shadows()
        self._now = now

    async def __call__(self, job: Job) -> tuple[OutgoingRecord, ...]:
        """Return the records to publish for one input record; raise the error that its dead letter or retry names."""
        verdict, tags = await self.judge(job)
        records = []
        if verdict is not None:
            sending = job.trace.sending(self._topics.verdicts)
            record = encode_verdict(
                verdict, topic=self._topics.verdicts, source=job.record, trace_headers=sending.headers
            )
            records.append(replace(record, span=sending.span))
        if tags is not None:
            sending = job.trace.sending(self._topics.tags)
            record = encode_tags(tags, topic=self._topics.tags, source=job.record, trace_headers=sending.headers)
            records.append(replace(record, span=sending.span))
        return tuple(records)

    async def judge(
        self, job: Job, *, side: Side = "stream", attached: bytes | None = None, policy: Policy | None = None
    ) -> Outcomes:
        """Return what is known about the image of an event; raises `RejectedError`, `TransientError`, `FatalError`.

        `attached` is the image file where it came beside the event, and `policy` the one that the caller has selected
        already; None selects by the event.
        """
        reading = await self._reader.read(job)
        event: ImageUploadedV1 = reading.event
        bind_event(event.image_id)
        job.trace.identify(event.image_id)
        policy = policy or self._policies.select(event.policy, tenant=event.tenant)
        engine = self._engine_for(policy)
        job.trace.set_attributes({names.TENANT: event.tenant, names.POLICY: policy.name})
        with self._memory.reservation(event.tenant, side) as memory:
            fetched = await self._fetch(job, event, memory) if attached is None else FetchedImage(attached)
            image = await self._decode(job, fetched, engine.description.image_spec, memory)
            losses = job.losses or EngineLosses()
            subject = Subject(job.record, job.attempt, event, image, losses, reading.event_id, reading.event_source)
            async with self._inside_engine(job, side):
                outputs = await self._judge(subject, policy, job.trace, side)
                return await self._outcomes(subject, policy, engine, outputs, job.trace)

    def _engine_for(self, policy: Policy) -> PolicyEngine:
        """Return the engine for a policy; resolved once, because it is found by all of the policy's words."""
        known, file = self._engines.get(policy.name), self._policies.calibration
        if known is None or known.instructions is not policy.instructions or known.file is not file:
            engine = self._engine_client.describe(policy.instructions)
            known = PolicyEngine(policy.instructions, file, engine, calibration_for(file, engine, policy.name))
            self._engines = {name: kept for name, kept in self._engines.items() if name in self._policies.by_name}
            self._engines[policy.name] = known
        return known

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

    def _inside_engine(self, job: Job, side: Side) -> AbstractAsyncContextManager[None]:
        """Return the context in which the engine works on a record, so that one that it dies of is known."""
        if self._suspects is None or side == "api":
            return _NOT_WATCHED
        return self._suspects.inside(job.delivered or job.record)

    async def _judge(self, subject: Subject, policy: Policy, trace: RecordTrace, side: Side) -> Sequence[EngineOutput]:
        """Return the engine's output for each frame, asked in the tenant's turn."""
        with trace.stage("engine"):
            if not self._engine_turns.try_acquire(side):
                with waiting(names.WAIT_ENGINE):
                    await self._engine_turns.acquire(subject.event.tenant, side)
            try:
                return await self._engine_client.judge(subject, policy.instructions)
            finally:
                self._engine_turns.release(side)

    async def _outcomes(
        self,
        subject: Subject,
        policy: Policy,
        engine: PolicyEngine,
        outputs: Sequence[EngineOutput],
        trace: RecordTrace,
    ) -> Outcomes:
        """Return the outcome of each task of the event."""
        verdict = tags = None
        if "moderation" in subject.event.tasks:
            verdict = await self._verdict(subject, policy, engine.of(outputs), outputs, trace)
        if "tags" in subject.event.tasks:
            tags = outcomes.tags(subject, engine=engine.description, outputs=outputs, tagged_at=self._now())
        return Outcomes(verdict, tags)

    async def _verdict(
        self,
        subject: Subject,
        policy: Policy,
        engine: PolicyEngine,
        outputs: Sequence[EngineOutput],
        trace: RecordTrace,
    ) -> VerdictV1:
        views, judged, decided = _decide(subject.image, policy, engine, outputs, trace)
        result = decided.result
        explanations: Mapping[str, str] = {}
        if result.deciding_category is not None and engine.description.explains:
            with trace.stage("explain"):
                explanations = await self._engine_client.explain(subject, policy.instructions, result, outputs)
        verdict = outcomes.verdict(
            subject,
            engine=engine.description,
            outputs=outputs,
            judged=judged,
            policy=policy,
            decided=decided,
            views=views,
            calibration_file=engine.calibration.file if engine.calibration else None,
            explanations=explanations,
            timings_ms=trace.timings_ms(),
            moderated_at=self._now(),
        )
        self._counts.count(verdict)
        self._shadows.offer(Judgement(subject, judged, engine.description.image_spec, policy, engine.file, verdict))
        return verdict


def _decide(
    image: DecodedImage, policy: Policy, engine: PolicyEngine, outputs: Sequence[EngineOutput], trace: RecordTrace
) -> tuple[JudgedImage, JudgedImage, ImageDecision]:
    """Return what the engine found in each view and in each frame, and what the policy decides on it."""
    with trace.stage("decide"):
        views = judged_views(image, engine.description, outputs, engine.calibration)
        judged = views.by_frame(image.frame_numbers)
        decided = decide_image(policy, judged)
    result = decided.result
    trace.set_attributes(
        {names.STATUS: result.status, names.DECISION: result.decision, names.CATEGORY: result.deciding_category}
    )
    return views, judged, decided
