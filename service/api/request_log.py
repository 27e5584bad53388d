"""What surrounds every request: its id, its trace, its line in the log, its metrics, and an answer for every fault."""

import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.callers.rate_limits import UNLIMITED
from service.api.errors import ApiError
from service.core.spans import Span
from service.telemetry import labels
from service.telemetry.instruments import API_DURATION, API_REQUESTS
from service.telemetry.propagation import text_headers
from service.telemetry.request_trace import RequestTracer, found_route

log = structlog.get_logger(__name__)

REQUEST_ID = "x-request-id"
CLIENT_LEFT = 499
"""Status, in logs and metrics, of a request whose caller left before the answer; as nginx has it."""
UNKNOWN_ROUTE = "other"
"""The route of requests for paths that do not exist, in metrics and logs: a path is chosen by the caller."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class RequestFacts:
    """What is known about a request for its line in the log; handlers add to it."""

    __slots__ = ("images", "key_id", "limits", "may_pass", "reason", "refusal", "request_id", "tenant")

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.key_id: str | None = None
        self.tenant: str | None = None
        self.limits = UNLIMITED
        """What the caller has used of its rate limits, for the answer's headers."""
        self.reason = ""
        """Reason code of the error that was answered; empty without one."""
        self.refusal: ApiError | None = None
        """Why the connection was ended before the answer, because of what the client sent."""
        self.images = 0
        self.may_pass = False
        """Whether the answer has a failure for some image that may pass."""


def facts_of(scope: Mapping[str, object]) -> RequestFacts:
    """Return the facts of a request by its ASGI scope."""
    state = scope["state"]
    assert isinstance(state, dict)  # noqa: S101 - the middleware below sets it
    facts: RequestFacts = state["facts"]
    return facts


class RequestLog:
    """The outermost ASGI middleware."""

    def __init__(self, app: ASGIApp, tracer: RequestTracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; what is no request passes unchanged."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        facts = RequestFacts(_request_id(headers))
        scope.setdefault("state", {})["facts"] = facts
        answer = _Answer(send, facts)
        began_s = time.perf_counter()
        with self._tracer.request(scope["method"], headers) as span:
            answer.span = span
            try:
                await self._app(scope, receive, answer.send)
            finally:
                self._finish(scope, facts, answer, span, time.perf_counter() - began_s)

    @staticmethod
    def _finish(scope: Scope, facts: RequestFacts, answer: "_Answer", span: Span, seconds: float) -> None:
        route = route_of(scope)
        status, reason = answer.status, facts.reason
        if facts.refusal is not None:
            status, reason = facts.refusal.status.value, facts.refusal.reason
        found_route(span, scope["method"], route, status)
        API_REQUESTS.add(1, {labels.ROUTE: route, labels.CODE: str(status), labels.REASON: reason})
        API_DURATION.record(seconds, {labels.ROUTE: route})
        log.info(
            "api.request",
            method=scope["method"],
            route=route,
            status=status,
            reason=reason or None,
            duration_ms=round(seconds * 1000, 3),
            images=facts.images,
            bytes_sent=answer.sent_bytes,
            key=facts.key_id,
            tenant=facts.tenant,
            request_id=facts.request_id,
        )


def note_refusal(error: ApiError, scope: Mapping[str, Any] | None) -> None:
    """Take note of a request that is refused because of the bytes that its client sent.

    `scope` is that of its handler, if it has begun: the handler's line in the log has the refusal then.
    """
    facts = scope.get("state", {}).get("facts") if scope is not None else None
    if facts is not None:
        facts.refusal = error
        return
    API_REQUESTS.add(
        1, {labels.ROUTE: UNKNOWN_ROUTE, labels.CODE: str(error.status.value), labels.REASON: error.reason}
    )


def route_of(scope: Mapping[str, object]) -> str:
    """Return the route's path with its parameters as names, never what the caller wrote."""
    route = scope.get("route")
    return getattr(route, "path_format", getattr(route, "path", UNKNOWN_ROUTE))


class _Answer:
    """Adds the headers that every answer has, and takes note of what is sent."""

    def __init__(self, send: Send, facts: RequestFacts) -> None:
        self._send = send
        self._facts = facts
        self._began_s = time.perf_counter()
        self.span: Span | None = None
        self.status = CLIENT_LEFT
        self.sent_bytes = 0

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self._facts.request_id
            # Files of the page have headers of their own. Everything else is one caller's.
            headers.setdefault("Cache-Control", "no-store")
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers["openai-processing-ms"] = str(round((time.perf_counter() - self._began_s) * 1000))
            for name, value in text_headers(self.span.context if self.span else None).items():
                headers[name] = value
            for name, value in self._facts.limits.headers().items():
                headers[name] = value
        elif message["type"] == "http.response.body":
            self.sent_bytes += len(message.get("body", b""))
        await self._send(message)


def _request_id(headers: Headers) -> str:
    """Return the caller's id of a request, or a new one if it has none that can stand in a log."""
    given = headers.get(REQUEST_ID, "")
    return given if _REQUEST_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"
