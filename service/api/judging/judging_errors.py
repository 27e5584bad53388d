"""Errors of the moderation as answers of the API."""

from collections.abc import Mapping
from http import HTTPStatus

from service.api.errors import error_document
from service.core.errors import FatalError, ModstreamError, RejectedError, TransientError, UnexpectedError
from service.events.codec_errors import EventTooLargeError
from service.inference.errors import EngineTimeoutError
from service.media.errors import FetchFailedError, FetchTimeoutError, HostCircuitOpenError, ImageTooLargeError

_STATUS: tuple[tuple[type[ModstreamError], HTTPStatus], ...] = (
    (ImageTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (EventTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (RejectedError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (FetchTimeoutError, HTTPStatus.GATEWAY_TIMEOUT),
    # The image's host is at fault, not this service.
    (FetchFailedError, HTTPStatus.BAD_GATEWAY),
    (HostCircuitOpenError, HTTPStatus.BAD_GATEWAY),
    (EngineTimeoutError, HTTPStatus.GATEWAY_TIMEOUT),
    (UnexpectedError, HTTPStatus.INTERNAL_SERVER_ERROR),
    (TransientError, HTTPStatus.SERVICE_UNAVAILABLE),
    (FatalError, HTTPStatus.SERVICE_UNAVAILABLE),
)
"""The first class that fits decides."""


def status_of(error: ModstreamError) -> HTTPStatus:
    """Return the status of the answer for an error."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


def headers_of(error: ModstreamError) -> Mapping[str, str]:
    """Return the headers of the answer: when to try again, where that is known."""
    if isinstance(error, TransientError) and error.retry_after_s > 0:
        return {"Retry-After": str(max(1, round(error.retry_after_s)))}
    return {}


def document_of(error: ModstreamError, *, param: str | None = None) -> dict[str, object]:
    """Return the body of the answer for an error."""
    kind = "invalid_request_error" if isinstance(error, RejectedError) else "server_error"
    return error_document(str(error), kind=kind, reason=error.reason, param=param)
