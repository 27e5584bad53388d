"""Why a connection is refused before, or instead of, an answer of the application."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus

import orjson

from service.api.errors import ApiError

_RETRY_S = 1
"""Bodies are held for about as long as an image takes to be judged."""


class RequestRefusedError(ApiError):
    """Base of what ends a connection: where the next request would begin is not known any more."""


class MalformedError(RequestRefusedError):
    """What arrived is no HTTP/1 request, or one that two servers could understand in different ways."""

    status = HTTPStatus.BAD_REQUEST
    reason = "api.malformed"
    message = "This is no valid HTTP/1.1 request"


class HeadTooLargeError(RequestRefusedError):
    """Request line and headers together, or their number, exceed the limit."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    reason = "api.head_too_large"
    message = "The head of the request exceeds {max_bytes} bytes or {max_headers} headers"


class BodyTooLargeError(RequestRefusedError):
    """The body exceeds `api.max_body_bytes`."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    reason = "api.body_too_large"
    message = "The body exceeds {max_bytes} bytes (api.max_body_bytes). Send fewer images a request, or their URLs"


class TooSlowError(RequestRefusedError):
    """The request did not arrive in time, or arrived more slowly than is accepted."""

    status = HTTPStatus.REQUEST_TIMEOUT
    reason = "api.too_slow"
    message = "The request did not arrive within {timeout_s:g} s, at {min_bytes_per_s} bytes a second at least"


class BodiesFullError(RequestRefusedError):
    """The bodies of all requests together reached `api.max_held_bytes`."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    reason = "api.bodies_full"
    message = "The service holds as many bytes of requests as it may (api.max_held_bytes). Try again soon"
    kind = "rate_limit_error"

    @property
    def headers(self) -> Mapping[str, str]:
        """When to try again."""
        return {"Retry-After": str(_RETRY_S)}


class NotAnsweredError(RequestRefusedError):
    """The application ended without an answer, which is a defect."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    reason = "api.not_answered"
    message = "A defect of the service, which its log describes"
    kind = "server_error"


def encoded(error: RequestRefusedError, default_headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the whole HTTP answer; the connection ends with it."""
    body = orjson.dumps(error.document())
    own = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {error.status.value} {error.status.phrase}".encode()]
    lines += [b"%s: %s" % header for header in default_headers]
    lines += [f"{name}: {value}".encode() for name, value in {**own, **error.headers}.items()]
    return b"\r\n".join([*lines, b"", body])
