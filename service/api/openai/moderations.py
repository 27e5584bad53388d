"""OpenAI's moderation: `POST /v1/moderations`."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from schemas.image_uploaded import ImageUploadedV1
from schemas.verdict import VerdictV1
from service.api.bodies import BodyError, json_body, new_image_id, read_json
from service.api.callers.access import Caller
from service.api.judging.idempotency import PARAMETER, answered_once
from service.api.judging.image_judge import Answered
from service.api.judging.judging_errors import document_of
from service.api.openai.image_urls import reference_of
from service.api.openai.moderation_answer import ModerationAnswer, ModerationResult, result_of
from service.api.openai.moderation_body import (
    Moderation,
    ModerationImageAt,
    ModerationInvalidError,
    ModerationRequest,
    TextRefusedError,
    read_moderation,
)
from service.api.parts import ApiParts, Moderates
from service.api.request_log import facts_of, route_of
from service.core.errors import RejectedError

POLICY_HEADER = "modstream-policy"
"""Names the policy for clients that cannot add to the body."""

_EXAMPLES: Mapping[str, Any] = {
    "image": {
        "model": "omni-moderation-latest",
        "input": [{"type": "image_url", "image_url": {"url": "https://cdn.example.com/42.jpg"}}],
    },
    "image_with_policy": {
        "input": [{"type": "image_url", "image_url": {"url": "https://cdn.example.com/42.jpg"}}],
        "modstream": {"policy": "default", "caption": "Red wine, two bottles"},
    },
    "text": {"model": "omni-moderation-latest", "input": "A text, which is passed through unjudged"},
}


class _Failure(Exception):  # noqa: N818 - an answer, not a fault of the service
    """The request has no answer but an error."""

    def __init__(self, document: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.document = document
        self.status = status
        self.headers = headers


def moderation_routes(parts: ApiParts) -> APIRouter:
    """Return the route of moderations."""
    router = APIRouter(tags=["openai"])

    async def moderations(request: Request, caller: Moderates) -> Response:
        """Judge images as OpenAI's moderation does. Text is passed through unjudged, and the result says so.

        A text, or each text of a list, has a result. A list of parts has one result, the worst of its images. If an
        image cannot be judged, the whole request answers with an error.
        """
        return await answered_once(parts.given, request, caller, lambda: _response(parts, request, caller))

    router.add_api_route(
        "/v1/moderations",
        moderations,
        methods=["POST"],
        responses={200: {"model": ModerationAnswer}},
        openapi_extra={"parameters": [PARAMETER], **json_body([ModerationRequest], _EXAMPLES)},
        operation_id="moderations",
    )
    return router


async def _response(parts: ApiParts, request: Request, caller: Caller) -> Response:
    try:
        answer = await _answer(parts, request, caller)
    except _Failure as failure:
        facts_of(request.scope).reason = failure.document["error"]["code"]
        body = orjson.dumps(failure.document)
        return Response(body, failure.status, failure.headers, media_type="application/json")
    return Response(answer.model_dump_json(), media_type="application/json")


async def _answer(parts: ApiParts, request: Request, caller: Caller) -> ModerationAnswer:
    moderation = await _read(parts, request)
    tenant = caller.tenant_for(moderation.extras.tenant)
    policy = moderation.extras.policy or request.headers.get(POLICY_HEADER) or None
    model = _model(parts, policy, tenant)
    facts_of(request.scope).images = len(moderation.images)
    caller.take(len(moderation.images), requests=0)
    verdicts = await _verdicts(parts, request, moderation, policy, tenant)
    return ModerationAnswer(id=f"modr-{uuid.uuid4().hex}", model=model, results=_results(moderation, verdicts))


async def _read(parts: ApiParts, request: Request) -> Moderation:
    try:
        value = await read_json(request)
    except BodyError as error:
        raise ModerationInvalidError(detail=error.facts["detail"]) from None
    moderation = read_moderation(value, max_images=parts.settings.max_images)
    if not moderation.images and parts.settings.moderations.text == "refuse":
        raise TextRefusedError(param="input")
    return moderation


def _model(parts: ApiParts, policy: str | None, tenant: str) -> str:
    """Return the name of the model that judges by a policy."""
    try:
        return parts.describe(parts.policies.select_known(policy, tenant=tenant)).model_name
    except RejectedError as error:
        raise _Failure(document_of(error, param="modstream.policy"), HTTPStatus.BAD_REQUEST) from None


def _results(moderation: Moderation, verdicts: Sequence[VerdictV1]) -> tuple[ModerationResult, ...]:
    if moderation.is_one:
        return (result_of(verdicts, texts=moderation.texts),)
    return (result_of((), texts=1),) * moderation.texts


async def _verdicts(
    parts: ApiParts, request: Request, moderation: Moderation, policy: str | None, tenant: str
) -> Sequence[VerdictV1]:
    """Return the verdict of each image; raises `_Failure` for the first in the input that cannot be judged."""
    extras = moderation.extras
    events = [_event(image, caption=extras.caption, policy=policy, tenant=tenant) for image in moderation.images]
    route, request_id = route_of(request.scope), facts_of(request.scope).request_id
    # One that fails lets the others finish: to end the decoding of an image takes its decoder's process.
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(parts.judge.answer(event, route=route, request_id=request_id)) for event in events]
    return [_verdict(task.result(), image) for task, image in zip(tasks, moderation.images, strict=True)]


def _event(image: ModerationImageAt, *, caption: str | None, policy: str | None, tenant: str) -> ImageUploadedV1:
    try:
        reference = reference_of(image.url)
    except RejectedError as error:
        raise _Failure(document_of(error, param=image.place), HTTPStatus.BAD_REQUEST) from None
    return ImageUploadedV1(image_id=new_image_id(), tenant=tenant, image=reference, caption=caption, policy=policy)


def _verdict(answered: Answered, image: ModerationImageAt) -> VerdictV1:
    """Return the verdict of an image; OpenAI's clients expect 400 where the request is at fault."""
    outcome = answered.outcome
    if outcome.verdict is not None:
        return outcome.verdict
    assert outcome.error is not None  # noqa: S101 - an outcome has one of them
    document = {"error": outcome.error.model_copy(update={"param": image.place}).model_dump()}
    is_at_fault = outcome.error.type == "invalid_request_error"
    raise _Failure(document, HTTPStatus.BAD_REQUEST if is_at_fault else answered.status, answered.headers)
