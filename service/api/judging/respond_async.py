"""`Prefer: respond-async` (RFC 7240): an image goes into the stream, and its outcome is asked for later."""

import base64
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import quote

import structlog

from schemas.image_uploaded import ImageInlineV1, ImageUploadedV1
from service.api.errors import ApiError
from service.api.judging.image_judge import Answered, failed
from service.api.judging.places import Places
from service.api.judging.stored_outcomes import StoredOutcomes
from service.api.models import Outcome
from service.core.errors import FatalError, ModstreamError, TransientError
from service.moderation.requests import Policies

log = structlog.get_logger(__name__)

_RETRY_S = 1
"""Brokers that are restarted are back after seconds."""

APPLIED = {"Preference-Applied": "respond-async", "Vary": "Prefer"}
"""Headers of an answer that follows the preference."""

PARAMETER: dict[str, Any] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "examples": ["respond-async"]},
    "description": "respond-async: beside a stream, publish the image as an upload event and answer 202 with the"
    " Location of its verdict. Without a stream the answer is the verdict, as if this was not sent.",
}
"""The header in the OpenAPI document."""


class StreamUnavailableError(ApiError):
    """The brokers did not confirm that they have an image."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    reason = "api.stream_unavailable"
    kind = "server_error"
    message = "The stream did not confirm the image, and may judge it all the same. Try again in {retry_after_s} s"

    @property
    def headers(self) -> Mapping[str, str]:
        """When to try again."""
        return {"Retry-After": str(self.facts["retry_after_s"])}


class Uploads(Protocol):
    """The stream's topic of uploads."""

    async def publish(self, event: ImageUploadedV1) -> None:
        """Return once the brokers have the event; raises `RejectedError`, `TransientError` or `FatalError`."""
        ...


def prefers_async(values: Iterable[str]) -> bool:
    """Return whether one of the headers `Prefer` asks for an answer before the work is done."""
    preferences = (each for value in values for each in value.split(","))
    return any(each.partition(";")[0].strip().lower() == "respond-async" for each in preferences)


class AsyncAnswers:
    """Puts images into the stream, and answers where their outcomes will be."""

    def __init__(self, uploads: Uploads, stored: StoredOutcomes, policies: Policies, places: Places) -> None:
        self._uploads = uploads
        self._stored = stored
        self._policies = policies
        self._places = places

    async def answer(self, event: ImageUploadedV1, *, attached: bytes | None, media_type: str) -> Answered:
        """Return an outcome that is still empty once the event is published, or the error as an outcome."""
        if attached is not None:
            inline = ImageInlineV1(inline=base64.b64encode(attached).decode(), media_type=media_type)
            event = event.model_copy(update={"image": inline})
        try:
            await self._publish(event)
        except (ApiError, ModstreamError) as error:
            return failed(event, error)
        location = f"/v1/verdicts/{quote(event.image_id, safe='')}"
        return Answered(Outcome(image_id=event.image_id), HTTPStatus.ACCEPTED, {"Location": location, **APPLIED})

    async def _publish(self, event: ImageUploadedV1) -> None:
        self._places.check_open()
        self._policies.select_known(event.policy, tenant=event.tenant)
        # Before, because the outcome may be there before the acknowledgement.
        self._stored.expect(event.image_id, event.tenant)
        try:
            await self._uploads.publish(event)
        except (TransientError, FatalError) as error:  # of which the message may name brokers
            self._stored.expect_no_more(event.image_id, event.tenant)
            log.warning("api.not_published", reason=error.reason, detail=str(error))
            raise StreamUnavailableError(retry_after_s=_RETRY_S) from error
        except BaseException:  # the caller may have left: nothing is pending then either
            self._stored.expect_no_more(event.image_id, event.tenant)
            raise
