"""One image of a request to its outcome, within the limits of the API."""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

from schemas.image_uploaded import ImageUploadedV1
from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.api.errors import ApiError
from service.api.judging.judging_errors import document_of, headers_of, status_of
from service.api.judging.places import Places
from service.api.judging.stored_outcomes import Kind, StoredOutcomes
from service.api.models import ErrorDetail, Outcome
from service.core.errors import ModstreamError
from service.core.spans import current_span
from service.moderation.moderate import Outcomes
from service.moderation.requests import RequestModerator
from service.telemetry import names
from service.telemetry.record_trace import RecordTrace, StageTimer


class ImageTimeoutError(ApiError):
    """An image was not judged in time."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    reason = "api.timeout"
    kind = "server_error"
    message = "The image was not judged within {limit_s:g} s (api.timeout_s). Try again later"

    def __init__(self, *, limit_s: float) -> None:
        super().__init__(headers={"Retry-After": str(max(1, math.ceil(limit_s / 10)))}, limit_s=limit_s)


@dataclass(frozen=True, slots=True)
class Answered:
    """The outcome of one image, and the status and headers of an answer that has nothing else."""

    outcome: Outcome
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] | None = None

    @property
    def failed(self) -> bool:
        """Whether there is an error instead of an outcome."""
        return self.outcome.error is not None


class ImageJudge:
    """Judges the images of requests, a bounded number at the same time."""

    def __init__(
        self, moderator: RequestModerator, places: Places, stored: StoredOutcomes, *, timeout_s: float
    ) -> None:
        self._moderator = moderator
        self._places = places
        self._stored = stored
        self._timeout_s = timeout_s

    async def judge(
        self,
        event: ImageUploadedV1,
        *,
        route: str,
        request_id: str,
        attached: bytes | None = None,
        is_patient: bool = False,
    ) -> Outcomes:
        """Return the outcomes of an event; raises `ApiError` or an error of the moderation.

        The time limit includes the wait for a place, unless the caller is patient.
        """
        try:
            async with self._place(event.tenant, is_patient=is_patient):
                with current_span().child(names.MODERATE) as span:
                    trace = RecordTrace(span, StageTimer())
                    outcomes = await self._moderator.judge(
                        event, route=route, request_id=request_id, attached=attached, trace=trace
                    )
        except TimeoutError:
            raise ImageTimeoutError(limit_s=self._timeout_s) from None
        self._keep(event, outcomes)
        return outcomes

    def _keep(self, event: ImageUploadedV1, outcomes: Outcomes) -> None:
        kinds: tuple[tuple[Kind, VerdictV1 | TagsV1 | None], ...]
        kinds = (("verdict", outcomes.verdict), ("tags", outcomes.tags))
        for kind, message in kinds:
            if self._stored.is_on and message is not None:
                raw = message.model_dump_json().encode()
                self._stored.keep(event.image_id, kind, raw, tenant=event.tenant)

    @asynccontextmanager
    async def _place(self, tenant: str, *, is_patient: bool) -> AsyncIterator[None]:
        if is_patient:
            async with self._places.place(tenant, is_patient=True), asyncio.timeout(self._timeout_s):
                yield
        else:
            async with asyncio.timeout(self._timeout_s), self._places.place(tenant):
                yield

    async def answer(
        self,
        event: ImageUploadedV1,
        *,
        route: str,
        request_id: str,
        attached: bytes | None = None,
        is_patient: bool = False,
    ) -> Answered:
        """Return the outcome of an event, or the error as an outcome; the arguments are those of `judge`."""
        try:
            verdict, tags = await self.judge(
                event, route=route, request_id=request_id, attached=attached, is_patient=is_patient
            )
        except (ApiError, ModstreamError) as error:
            return failed(event, error)
        return Answered(Outcome(image_id=event.image_id, verdict=verdict, tags=tags))


def failed(event: ImageUploadedV1, error: ApiError | ModstreamError) -> Answered:
    """Return an error as the outcome of an event."""
    if isinstance(error, ApiError):
        document, status, headers = error.document(), error.status, error.headers
    else:
        document, status, headers = document_of(error), status_of(error), headers_of(error)
    detail = ErrorDetail.model_validate(document["error"])
    return Answered(Outcome(image_id=event.image_id, error=detail), status, headers)
