"""Verdicts and tags of single images: as JSON, or as files in a form."""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile

from schemas.example_files import read_examples
from schemas.image_uploaded import ImageUploadedV1
from schemas.registry import IMAGE_UPLOADED_V1
from service.api.bodies import (
    BodyError,
    MediaTypeError,
    TooManyImagesError,
    content_type_of,
    json_content,
    new_image_id,
    parse_json,
    read_form,
    read_json,
    validated,
)
from service.api.callers.access import Caller
from service.api.judging.idempotency import PARAMETER as IDEMPOTENCY_KEY
from service.api.judging.idempotency import answered_once, may_pass
from service.api.judging.image_judge import Answered
from service.api.judging.respond_async import APPLIED, AsyncAnswers, prefers_async
from service.api.judging.respond_async import PARAMETER as PREFER
from service.api.models import ImageRequest, ImageRequests, Outcome, OutcomeList
from service.api.parts import ApiParts, Moderates
from service.api.request_log import facts_of, route_of

_ATTACHED = "cid:"
"""How an image that is attached to a request is referred to, see RFC 2392."""

_FORM = "multipart/form-data"
_FORM_FIELDS = ("image_id", "policy", "caption", "tenant")
_FORM_SCHEMA = {
    "type": "object",
    "required": ["image"],
    "properties": {
        "image": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "minItems": 1,
            "description": "One or several image files. Their names are their ids where there are several.",
        },
        "image_id": {"type": "string", "description": "Your id of a single image."},
        "policy": {"type": "string", "description": "A policy by name; else the tenant's."},
        "caption": {"type": "string", "description": "Text shown with the images; untrusted."},
        "tenant": {"type": "string", "description": "Whose rules apply: that of the API key where it is missing."},
        "tasks": {"type": "string", "description": "moderation, tags, or both with a comma.", "default": "moderation"},
        "context": {"type": "string", "description": "A JSON object of strings that come back unchanged."},
    },
}

Task = Literal["moderation", "tags"]


class _Item:
    """One image of a request, and its file where that came in the form."""

    __slots__ = ("attached", "media_type", "request")

    def __init__(self, request: ImageRequest, attached: bytes | None = None, media_type: str | None = None) -> None:
        self.request = request
        self.attached = attached
        self.media_type = media_type or "application/octet-stream"


def verdict_routes(parts: ApiParts) -> APIRouter:
    """Return the routes of verdicts and tags."""
    router = APIRouter(tags=["verdicts"])

    async def once(request: Request, caller: Caller, *, task: Task | None) -> Response:
        return await answered_once(parts.given, request, caller, lambda: _answer(parts, request, caller, task=task))

    async def verdicts(request: Request, caller: Moderates) -> Response:
        """Judge one image or several, and answer with their verdicts.

        Send JSON, or files as multipart/form-data. One image answers with its outcome, and its error is the answer's
        status. Several images answer 200 with an outcome each, of which some may be errors. With the header `Prefer:
        respond-async` and a stream, the images are published to it instead: the answer is 202, and GET
        /v1/verdicts/{image_id} has their outcomes.
        """
        return await once(request, caller, task=None)

    async def tags(request: Request, caller: Moderates) -> Response:
        """Describe one image or several by tags, without a verdict. The body is that of /v1/verdicts."""
        return await once(request, caller, task="tags")

    model = Outcome | OutcomeList
    accepted: dict[str, Any] = {
        "model": model,
        "description": "In the stream: see Location. The outcomes are still empty.",
    }
    by_path: tuple[tuple[str, Any, dict[int | str, Any], dict[str, Any]], ...] = (
        ("/v1/verdicts", verdicts, {202: accepted}, _body(PREFER)),
        ("/v1/tags", tags, {}, _body()),
    )
    for path, function, further, extra in by_path:
        router.add_api_route(
            path,
            function,
            methods=["POST"],
            responses={200: {"model": model}, **further},
            openapi_extra=extra,
            operation_id=function.__name__,
        )
    return router


async def _answer(parts: ApiParts, request: Request, caller: Caller, *, task: Task | None) -> Response:
    items, is_list = await _items(request, max_images=parts.settings.max_images)
    facts = facts_of(request.scope)
    facts.images = len(items)
    # Before any image is judged: a request that names a foreign tenant is refused as a whole.
    events = [_event(item, caller, task) for item in items]
    caller.take(len(items), requests=0)
    later = parts.later if task is None and prefers_async(request.headers.getlist("prefer")) else None
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_one(parts, event, item, request, later))
            for event, item in zip(events, items, strict=True)
        ]
    answers = [each.result() for each in tasks]
    facts.may_pass = any(may_pass(each.status) for each in answers)
    if not is_list:
        return _single(answers[0], facts)
    outcomes = OutcomeList(outcomes=tuple(each.outcome for each in answers))
    return _json(outcomes) if later is None else _json(outcomes, HTTPStatus.ACCEPTED, APPLIED)


def _event(item: _Item, caller: Caller, task: Task | None) -> ImageUploadedV1:
    event = item.request.event(image_id=new_image_id(), tenant=caller.tenant_for(item.request.tenant))
    return event if task is None else event.model_copy(update={"tasks": (task,)})


async def _one(
    parts: ApiParts, event: ImageUploadedV1, item: _Item, request: Request, later: AsyncAnswers | None
) -> Answered:
    if later is not None:
        return await later.answer(event, attached=item.attached, media_type=item.media_type)
    return await parts.judge.answer(
        event, route=route_of(request.scope), request_id=facts_of(request.scope).request_id, attached=item.attached
    )


def _single(answered: Answered, facts: Any) -> Response:
    if answered.outcome.error is None:
        return _json(answered.outcome, answered.status, answered.headers)
    facts.reason = answered.outcome.error.code or ""
    body = orjson.dumps({"error": answered.outcome.error.model_dump()})
    return Response(body, answered.status, answered.headers, media_type="application/json")


def _json(
    answer: Outcome | OutcomeList, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(answer.model_dump_json(), status, headers, media_type="application/json")


async def _items(request: Request, *, max_images: int) -> tuple[Sequence[_Item], bool]:
    """Return the images of a request, and whether it is answered with a list."""
    if content_type_of(request) == _FORM:
        items = await _from_form(request, max_images=max_images)
        return items, len(items) > 1
    if content_type_of(request) != "application/json":
        raise MediaTypeError(expected=f"application/json or {_FORM}")
    value = await read_json(request)
    if isinstance(value, dict) and "images" in value:
        if isinstance(value["images"], list) and len(value["images"]) > max_images:
            raise TooManyImagesError(number=len(value["images"]), limit=max_images, param="images")
        return [_Item(each) for each in validated(ImageRequests, value).images], True
    return [_Item(validated(ImageRequest, value))], False


async def _from_form(request: Request, *, max_images: int) -> Sequence[_Item]:
    async with read_form(request, max_files=max_images, max_fields=len(_FORM_SCHEMA["properties"])) as form:
        files = [value for value in form.getlist("image") if isinstance(value, UploadFile)]
        if not files:
            raise BodyError(detail="the form has no file in its field 'image'", param="image")
        # Browsers send a field that was left empty as an empty text.
        texts = {name: value for name, value in form.items() if isinstance(value, str) and value}
        fields: dict[str, Any] = {name: texts[name] for name in _FORM_FIELDS if name in texts}
        if tasks := texts.get("tasks"):
            fields["tasks"] = [task.strip() for task in tasks.split(",")]
        if context := texts.get("context"):
            fields["context"] = parse_json(context.encode())
        return [
            _Item(
                validated(ImageRequest, _named(fields, file, alone=len(files) == 1)),
                await file.read(),
                file.content_type,
            )
            for file in files
        ]


def _named(fields: dict[str, Any], file: UploadFile, *, alone: bool) -> dict[str, Any]:
    name = file.filename or "image"
    image_id = fields.get("image_id") if alone else name
    return {**fields, "image": {"url": f"{_ATTACHED}{name[:200]}"}, "image_id": image_id}


def _body(*parameters: dict[str, Any]) -> dict[str, Any]:
    contract = read_examples(IMAGE_UPLOADED_V1)
    # The first is what documentation sends at the press of a button, so it is one that any service can judge.
    examples = {name: contract[name] for name in ("minimal_inline", "minimal_by_url", "full")}
    several = {
        "several": {"images": [examples["minimal_by_url"], {"image": {"url": "https://cdn.example.com/43.jpg"}}]}
    }
    content = {
        "application/json": json_content([ImageRequest, ImageRequests], examples | several),
        _FORM: {"schema": _FORM_SCHEMA},
    }
    return {"parameters": [IDEMPOTENCY_KEY, *parameters], "requestBody": {"required": True, "content": content}}
