"""Judges single events for callers that wait for the answer, with all that records of the stream are judged with."""

import itertools
import time
from typing import Protocol

from schemas.image_uploaded import ImageUploadedV1
from service.core.records import SourceRecord
from service.delivery.handler import Job
from service.media.errors import ImageTooLargeError
from service.moderation.moderate import Moderator, Outcomes
from service.moderation.reading import reading_of_event
from service.policy.policy import Policy
from service.telemetry.record_trace import RecordTrace


class Policies(Protocol):
    """The policies by name."""

    def select_known(self, name: str | None, *, tenant: str) -> Policy:
        """Return a policy that a tenant may use; raise `RejectedError` for any other."""
        ...


class RequestModerator:
    """Judges events that no topic holds. Any number may be judged at the same time: callers bound it."""

    def __init__(self, moderator: Moderator, policies: Policies, *, max_image_bytes: int) -> None:
        """`max_image_bytes` bounds images that come beside their event; others are bounded where they are fetched."""
        self._moderator = moderator
        self._policies = policies
        self._max_image_bytes = max_image_bytes
        self._numbers = itertools.count()

    async def judge(
        self,
        event: ImageUploadedV1,
        *,
        route: str,
        request_id: str,
        attached: bytes | None = None,
        trace: RecordTrace | None = None,
    ) -> Outcomes:
        """Return the outcomes of an event; raises `RejectedError`, `TransientError` or `FatalError`.

        The outcomes name the route as their source's topic, which no topic of Kafka can be called, and the request as
        its event. `attached` is the image file where it came beside the event. A policy of another tenant is unknown:
        callers are strangers to each other, which those who write to a topic are not.
        """
        # Handed on, because a reload may give another policy this name meanwhile.
        policy = self._policies.select_known(event.policy, tenant=event.tenant)
        if attached is not None and len(attached) > self._max_image_bytes:
            raise ImageTooLargeError(limit_bytes=self._max_image_bytes)
        record = SourceRecord(route, 0, next(self._numbers), time.time_ns() // 1_000_000, None, None, ())
        reading = reading_of_event(event)._replace(event_id=request_id, event_source=route)
        job = Job(record, 1, time.perf_counter(), _UNLIMITED, trace or RecordTrace.untraced(), reading)
        return await self._moderator.judge(job, side="api", attached=attached, policy=policy)


class _Unlimited:
    """Resources without a limit: the API bounds how many images are in work."""

    async def acquire_slot(self) -> None:
        """Return at once."""

    def release_slot(self) -> None:
        """Do nothing."""


_UNLIMITED = _Unlimited()
