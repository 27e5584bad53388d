"""The outcome of an image that was judged before."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from schemas.base import Identifier
from service.api.errors import ApiError
from service.api.models import ErrorAnswer, Outcome
from service.api.parts import ApiParts, Reads

_RETRY_S = 1
"""A record takes about as long from its upload to its verdict."""


class VerdictUnknownError(ApiError):
    """No outcome of an image is held; another tenant's is not either, as far as its reader is concerned."""

    status = HTTPStatus.NOT_FOUND
    reason = "api.verdict_unknown"
    message = (
        "No outcome of the image is held: it is not judged yet, or no longer among the newest {limit} outcomes "
        "(api.stored_verdicts). {where}"
    )


def lookup_routes(parts: ApiParts) -> APIRouter:
    """Return the route of stored outcomes."""
    router = APIRouter(tags=["verdicts"])

    async def verdict(
        image_id: Annotated[Identifier, Path(description="The id of the image, of the request or the event.")],
        caller: Reads,
        tenant: Annotated[Identifier | None, Query(description="Of the image: that of the key if missing.")] = None,
    ) -> Response:
        """Return the newest outcome of an image, be it of the stream or of a request.

        It answers 202 with Retry-After while the outcome of an image that was accepted with 202 is not there yet, and
        404 with where else to look for one that is not held any more. A dead letter is an outcome with an error.
        """
        owner = caller.tenant_for(tenant)
        if (outcome := parts.stored.find(image_id, owner)) is not None:
            return _json(outcome)
        if parts.stored.is_expected(image_id, owner):
            return _json(Outcome(image_id=image_id), HTTPStatus.ACCEPTED, retry_after_s=_RETRY_S)
        raise VerdictUnknownError(limit=parts.settings.stored_verdicts, where=_elsewhere(parts.outcome_topics))

    router.add_api_route(
        "/v1/verdicts/{image_id:path}",
        verdict,
        methods=["GET"],
        responses={
            200: {"model": Outcome},
            202: {"model": Outcome, "description": "Not judged yet: see Retry-After."},
            404: {"model": ErrorAnswer, "description": "No outcome is held: see where else to look."},
        },
        operation_id="verdict",
    )
    return router


def _elsewhere(topics: Sequence[str]) -> str:
    if topics:
        return f"The topics {', '.join(topics)} have all outcomes of the stream"
    return "Each process holds the outcomes that it gave itself"


def _json(outcome: Outcome, status: HTTPStatus = HTTPStatus.OK, *, retry_after_s: int = 0) -> Response:
    headers = {"Retry-After": str(retry_after_s)} if retry_after_s else None
    return Response(outcome.model_dump_json(), status, headers, media_type="application/json")
