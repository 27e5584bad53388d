"""The FastAPI application: its routers, its errors and its OpenAPI document."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from service.api.document import ABOUT, complete_document, failures
from service.api.errors import ApiError, error_document
from service.api.health import health_routes
from service.api.judging.batch import batch_routes
from service.api.judging.judging_errors import document_of, headers_of, status_of
from service.api.judging.verdict_lookup import lookup_routes
from service.api.judging.verdicts import verdict_routes
from service.api.openai.chat import chat_routes
from service.api.openai.moderations import moderation_routes
from service.api.page import page_routes
from service.api.parts import ApiParts
from service.api.policies import policy_routes
from service.api.request_log import RequestLog, facts_of
from service.api.routing_errors import routing_document
from service.core.errors import ModstreamError
from service.core.validation_text import placed_text_of
from service.telemetry.foreign_errors import scrub_exception

log = structlog.get_logger(__name__)


def build_application(parts: ApiParts) -> ASGIApp:
    """Return the application with everything that surrounds it."""
    app = FastAPI(
        title="modstream",
        version=version("modstream"),
        description=ABOUT,
        openapi_url=None,  # it would be encoded for each request, which takes milliseconds, see document.py
        docs_url=None,  # it would load Swagger UI from another host, see page.py
        redoc_url=None,
        redirect_slashes=False,  # to a URL of the Host header, perhaps without TLS: clients would send their keys there
        responses=failures(),
    )
    app.state.access = parts.access
    for router in (
        health_routes(parts.health),
        moderation_routes(parts),
        verdict_routes(parts),
        batch_routes(parts),
        lookup_routes(parts),
        chat_routes(parts),
        policy_routes(parts),
        page_routes(parts.settings),
    ):
        app.include_router(router)
    _answer_errors(app)
    complete_document(app)
    if parts.settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=parts.settings.cors_origins,
            allow_methods=["GET", "POST"],
            # OpenAI's client describes itself in headers of its own; Starlette names the ones that a page asks for.
            allow_headers=["*"],
            expose_headers=["Location", "Retry-After", "X-Request-Id"],
        )
    return RequestLog(app, parts.tracer)


def _answer_errors(app: FastAPI) -> None:
    """Answer every error in OpenAI's form."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)  # noqa: S101 - registered for it alone
        return _error(request, error.status, error.document(), error.headers)

    async def not_judged(request: Request, error: Exception) -> Response:
        assert isinstance(error, ModstreamError)  # noqa: S101 - as above
        return _error(request, status_of(error), document_of(error), headers_of(error))

    async def not_routed(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - as above
        document = routing_document(error.status_code, str(error.detail), method=request.method, headers=error.headers)
        return _error(request, error.status_code, document, error.headers or {})

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
        detail = "; ".join(placed_text_of(fault) for fault in error.errors()[:5])
        document = error_document(
            f"The request is not valid: {detail}", kind="invalid_request_error", reason="api.invalid"
        )
        return _error(request, 422, document, {})

    async def unexpected(request: Request, error: Exception) -> Response:
        log.error(
            "api.unexpected",
            error=type(error).__name__,
            request_id=facts_of(request.scope).request_id,
            exc_info=scrub_exception(error),
        )
        message = "A defect of the service. Its log has the cause under this request's id"
        return _error(request, 500, error_document(message, kind="server_error", reason="api.unexpected"), {})

    app.add_exception_handler(ApiError, refused)
    app.add_exception_handler(ModstreamError, not_judged)
    app.add_exception_handler(HTTPException, not_routed)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, unexpected)


def _error(request: Request, status: int, document: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    facts_of(request.scope).reason = document["error"]["code"]
    return Response(orjson.dumps(document), status, dict(headers), media_type="application/json")
