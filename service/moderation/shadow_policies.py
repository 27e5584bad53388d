"""Policies on trial: each decides on the scores of verdicts, after them and outside of their path."""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Container, Iterable, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Self

import structlog

from schemas.base import Decision
from schemas.outcome import SourceRecordV1
from schemas.shadow import LiveDecisionV1, ShadowDecisionV1, ShadowPolicyV1
from schemas.verdict import PolicyV1
from service.core.records import OutgoingRecord, SourceRecord
from service.events.codec import encode_shadow
from service.moderation.loop_share import LoopShare
from service.moderation.shadow import Judgement, Publisher, count_decision, count_left_out, strays_as_errors
from service.policy.judged import JudgedImage, decide_image
from service.policy.policy import Policy

log = structlog.get_logger(__name__)

_GATHER_S = 0.25
"""Verdicts of so long are decided about together: a request to Kafka costs as much as twenty decisions."""

_BATCH = 200
"""Records that are published together."""

_RECORD_S = 25e-6
"""What publishing a record takes of the event loop, in a batch."""

_MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Of keys and event ids, which uploaders choose, and of scores, in the queue."""

_SCORE_BYTES = 56
"""What a score of a frame takes in memory: its number, and its place in a dictionary."""


class TrialPolicies:
    """The policies on trial, by the images that each is for."""

    def __init__(self, policies: Iterable[Policy], *, live: Container[str]) -> None:
        """`live` are the present names of live policies: a policy with one of them is for the images of that one."""
        self._policies = tuple(policies)
        self._live = live
        self._named: defaultdict[str, list[int]] = defaultdict(list)
        """Places of policies by their names."""
        self._of_tenant: defaultdict[str | None, list[int]] = defaultdict(list)
        """Places of policies by tenant; None for all tenants."""
        for place, policy in enumerate(self._policies):
            self._named[policy.name].append(place)
            for tenant in policy.tenants or (None,):
                self._of_tenant[tenant].append(place)

    def of_image(self, live: str, tenant: str) -> Sequence[Policy]:
        """Return the policies on trial for an image of a tenant that the policy named `live` judged."""
        places = {*self._named.get(live, ())}
        for owner in (None, tenant):
            candidates = self._of_tenant.get(owner, ())
            places.update(place for place in candidates if self._policies[place].name not in self._live)
        return [self._policies[place] for place in sorted(places)]


class _Waiting(NamedTuple):
    """A verdict that waits: its scores and facts, without pixels, context and event, which may take megabytes.

    It is a tuple, because every verdict makes one.
    """

    image: JudgedImage
    record: SourceRecord
    image_id: str
    tenant: str
    status: Literal["moderated", "not_moderated"]
    decision: Decision
    deciding_category: str | None
    policy: PolicyV1
    source: SourceRecordV1
    attempt: int
    moderated_at: datetime
    is_cleared: bool
    """A first pass decided, so that a policy which would not clear the image has no scores to decide on."""
    held_bytes: int
    """Of key and ids, which the uploader chose, and of the scores of all frames; all else has a fixed size."""

    @classmethod
    def of(cls, judgement: Judgement) -> Self:
        """Take what is needed of a judgement."""
        verdict, record = judgement.verdict, judgement.subject.record
        source = verdict.source
        held_bytes = len(record.key or b"") + len(source.event_id or "") + len(source.event_source or "")
        for frame in judgement.image.frames:
            held_bytes += _SCORE_BYTES * (len(frame.scores) + len(frame.uncalibrated or ()))
        return cls(
            judgement.image,
            record._replace(value=None, headers=()),
            verdict.image_id,
            verdict.tenant,
            verdict.status,
            verdict.decision,
            verdict.deciding_category,
            verdict.policy,
            source,
            verdict.attempt,
            verdict.moderated_at,
            verdict.first_pass is not None and verdict.first_pass.decided,
            held_bytes,
        )


class ShadowPolicies:
    """Decides on the scores of verdicts with the policies on trial, within a share of the event loop's time."""

    def __init__(
        self,
        policies: TrialPolicies,
        *,
        publisher: Publisher | None,
        topic: str,
        max_waiting: int,
        share: LoopShare,
    ) -> None:
        """Without a publisher decisions are only counted and logged."""
        self._policies = policies
        self._publisher = publisher
        self._topic = topic
        self._max_waiting = max_waiting
        self._share = share
        self.warning: str | None = None
        """What is wrong with the files of policies."""
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._arrival = asyncio.Event()
        self._draining = asyncio.Event()

    def warnings(self) -> list[str]:
        """Return what is wrong with the files of policies."""
        return [self.warning] if self.warning is not None else []

    def replace(self, policies: TrialPolicies) -> None:
        """Take other policies, also for the verdicts that wait."""
        self._policies = policies

    def offer(self, judgement: Judgement) -> None:
        """Queue a verdict if there is room. Its policies are found later: there may be a thousand."""
        waiting = _Waiting.of(judgement)
        if len(self._waiting) >= self._max_waiting or self._waiting_bytes + waiting.held_bytes > _MAX_WAITING_BYTES:
            count_left_out("policies", "queue_full")
            return
        self._waiting.append(waiting)
        self._waiting_bytes += waiting.held_bytes
        self._arrival.set()

    def drain(self) -> None:
        """Let `run` return once all that waits is decided, without further pauses."""
        self._draining.set()
        self._arrival.set()
        self._share.lift()

    async def run(self) -> None:
        """Decide about what comes, until `drain` was called."""
        while self._waiting or not self._draining.is_set():
            await self._arrival.wait()
            await self._gather()
            self._arrival.clear()
            try:
                with strays_as_errors():
                    await self._decide_all()
            except Exception as error:  # noqa: BLE001 - a defect costs the records in hand, and the trial goes on
                count_left_out("policies", "failed")
                log.warning("shadow.failed", error=error)

    async def _gather(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GATHER_S):
                await self._draining.wait()

    async def _decide_all(self) -> None:
        self._share.begin()
        batch: list[OutgoingRecord] = []
        while self._waiting:
            waiting = self._waiting.popleft()
            self._waiting_bytes -= waiting.held_bytes
            batch += await self._records(waiting)
            if len(batch) >= _BATCH or not self._waiting:
                await self._publish(batch)
                batch = []

    async def _records(self, waiting: _Waiting) -> list[OutgoingRecord]:
        """Return the record of an image's decisions, if there are any and it has a topic."""
        decisions = []
        policies = self._policies.of_image(waiting.policy.name, waiting.tenant)
        # Also where no policy is for the image: a queue of such images is work as well.
        await self._share.rest()
        for policy in policies:
            decisions += _decisions(policy, waiting)
            await self._share.rest()
        if not decisions or self._publisher is None:
            return []
        return [encode_shadow(_message(waiting, decisions), topic=self._topic, source=waiting.record)]

    async def _publish(self, batch: Sequence[OutgoingRecord]) -> None:
        if batch and self._publisher is not None:
            await self._publisher.publish(batch)
            self._share.charge(_RECORD_S * len(batch))
            self._share.begin()


def _decisions(policy: Policy, waiting: _Waiting) -> list[ShadowPolicyV1]:
    """Return a policy's decision about an image; nothing if it fails, or lacks the scores of the full pass."""
    if waiting.is_cleared and not all(policy.clears(frame.scores) for frame in waiting.image.frames):
        count_left_out("policies", "cleared")
        return []
    try:
        result = decide_image(policy, waiting.image).result
    except Exception as error:  # noqa: BLE001 - the other policies go on
        count_left_out("policies", "failed")
        log.warning("shadow.failed", **_about(policy, waiting), error=error)
        return []
    count_decision(f"{policy.name}/{policy.version}", live=waiting.decision, decision=result.decision)
    agrees = result.decision == waiting.decision
    if not agrees:
        log.info("shadow.differs", **_about(policy, waiting), live=waiting.decision, decision=result.decision)
    return [
        ShadowPolicyV1(
            policy=PolicyV1(name=policy.name, version=policy.version, hash=policy.hash),
            decision=result.decision,
            deciding_category=result.deciding_category,
            unscored=tuple(name for name in result.not_covered if name in policy.categories),
            agrees=agrees,
        )
    ]


def _about(policy: Policy, waiting: _Waiting) -> dict[str, object]:
    """Return what a log line names; lines with an offset are limited by `telemetry.log_limit_per_s`."""
    record = waiting.record
    return {
        "policy": policy.name,
        "version": policy.version,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
    }


def _message(waiting: _Waiting, decisions: Sequence[ShadowPolicyV1]) -> ShadowDecisionV1:
    live = LiveDecisionV1(
        status=waiting.status,
        decision=waiting.decision,
        deciding_category=waiting.deciding_category,
        policy=waiting.policy,
    )
    return ShadowDecisionV1(
        image_id=waiting.image_id,
        tenant=waiting.tenant,
        live=live,
        policies=tuple(decisions),
        engine=None,
        source=waiting.source,
        attempt=waiting.attempt,
        moderated_at=waiting.moderated_at,
    )
