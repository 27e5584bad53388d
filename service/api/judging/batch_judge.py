"""Gives the lines of one batch their outcomes."""

import asyncio
from contextlib import suppress
from http import HTTPStatus

import structlog

from service.api.bodies import new_image_id, parse_json, validated
from service.api.callers.access import Caller
from service.api.callers.access_errors import RateLimitedError
from service.api.errors import ApiError, error_document
from service.api.judging.batch_lines import Line
from service.api.judging.batch_models import BATCH_PATH, BatchOutcome
from service.api.models import ErrorDetail, ImageRequest
from service.api.parts import ApiParts
from service.api.request_log import RequestFacts
from service.telemetry.foreign_errors import scrub_exception

log = structlog.get_logger(__name__)


class LineTooLongError(ApiError):
    """A line of a batch is longer than a body may be."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    reason = "api.line_too_long"
    message = "The line exceeds {limit_bytes} bytes (api.max_body_bytes). Send the image's URL"


class LineJudge:
    """Judges the lines of one batch."""

    def __init__(self, parts: ApiParts, caller: Caller, facts: RequestFacts) -> None:
        self._parts = parts
        self._caller = caller
        self._facts = facts

    async def admit(self) -> None:
        """Return when the caller's rate limit lets one more image in; raises `DrainingError`."""
        while True:
            self._parts.places.check_open()
            try:
                self._caller.take(images=1, requests=0)
            except RateLimitedError as error:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._parts.places.draining.wait(), error.retry_after_s)
            else:
                self._facts.images += 1
                return

    async def judge(self, line: Line) -> BatchOutcome:
        """Return the outcome of a line."""
        image_id = None
        try:
            request = self._request(line)
            image_id = request.image_id
            event = request.event(image_id=new_image_id(), tenant=self._caller.tenant_for(request.tenant))
            answered = await self._parts.judge.answer(
                event, route=BATCH_PATH, request_id=f"{self._facts.request_id}/{line.number}", is_patient=True
            )
            return BatchOutcome(line=line.number, **dict(answered.outcome))
        except ApiError as error:
            document = error.document()
        except Exception as error:  # of one line, which must not end the others
            log.exception("api.unexpected", error=type(error).__name__, exc_info=scrub_exception(error))
            message = "A defect of the service. Its log has the cause under this request's id"
            document = error_document(message, kind="server_error", reason="api.unexpected")
        return BatchOutcome(line=line.number, image_id=image_id, error=ErrorDetail.model_validate(document["error"]))

    def _request(self, line: Line) -> ImageRequest:
        if line.data is None:
            raise LineTooLongError(limit_bytes=self._parts.settings.max_body_bytes)
        return validated(ImageRequest, parse_json(line.data))
