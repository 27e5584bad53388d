"""Bodies of requests: read within bounds, checked, and described in the OpenAPI document."""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData
from starlette.requests import Request

from service.api.errors import ApiError
from service.core.validation_text import placed_text_of
from service.events.codec_errors import EventTooComplexError
from service.events.structure import check_structure

Model = TypeVar("Model", bound=BaseModel)

_MAX_FAULTS = 5
_LARGEST_STEP = 80
"""Characters of a place in a body that a message shows: some are chosen by the caller."""


class BodyError(ApiError):
    """The body of the request is not what the route takes."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    reason = "api.body_invalid"
    message = "The body is not valid: {detail}"


class NotJsonError(ApiError):
    """The body of the request is not JSON."""

    status = HTTPStatus.BAD_REQUEST
    reason = "api.body_not_json"
    message = "The body is not JSON: {detail}"


class MediaTypeError(ApiError):
    """The route does not take a body of this content type."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    reason = "api.media_type_unsupported"
    message = "This route takes {expected}. Set the header Content-Type"


class TooManyImagesError(ApiError):
    """The request has more images than `api.max_images`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    reason = "api.too_many_images"
    message = "{number} images exceed {limit} a request (api.max_images). Send several requests, or a batch"


def new_image_id() -> str:
    """Return an id for an image whose request has none."""
    return f"img_{uuid.uuid4().hex}"


def content_type_of(request: Request) -> str:
    """Return the content type of a body without its parameters, in lower case; JSON where none is named."""
    return request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()


async def read_json(request: Request) -> Any:
    """Return the body as JSON; raises `MediaTypeError`, `NotJsonError` or `BodyError`."""
    kind = content_type_of(request)
    if kind != "application/json" and not kind.endswith("+json"):
        raise MediaTypeError(expected="application/json")
    return parse_json(await request.body())


@asynccontextmanager
async def read_form(request: Request, *, max_files: int, max_fields: int) -> AsyncIterator[FormData]:
    """Yield the body as a form; raises `BodyError`, or `HTTPException` for what is no form or has too many parts."""
    try:
        form = await request.form(max_files=max_files, max_fields=max_fields)
    except (UnicodeError, LookupError):  # Content-Type may name any of Python's codecs
        raise BodyError(detail="its texts cannot be read in the charset that Content-Type names") from None
    try:
        yield form
    finally:
        await form.close()


def parse_json(body: bytes) -> Any:
    """Return a JSON text as values; raises `NotJsonError` or, for one with too many values, `BodyError`."""
    try:
        check_structure(body)
        return orjson.loads(body)
    except EventTooComplexError as error:
        raise BodyError(detail=str(error)) from None
    except orjson.JSONDecodeError as error:
        raise NotJsonError(detail=str(error)) from None


def validated(model: type[Model], value: Any) -> Model:
    """Return a value as a model; raises `BodyError`, which names fields and rules, never values."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
    named = [placed_text_of(fault)[: _LARGEST_STEP * 4] for fault in faults[:_MAX_FAULTS]]
    more = [f"and {len(faults) - _MAX_FAULTS} more"] if len(faults) > _MAX_FAULTS else []
    first = ".".join(str(step)[:_LARGEST_STEP] for step in faults[0]["loc"])
    raise BodyError(detail="; ".join(named + more), param=first or None)


def json_body(models: Sequence[type[BaseModel]], examples: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the OpenAPI document says about a body that the route reads itself: any of the models, examples."""
    return {"requestBody": {"required": True, "content": {"application/json": json_content(models, examples)}}}


def json_content(models: Sequence[type[BaseModel]], examples: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema and the examples of one content type."""
    references = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in models]
    return {
        "schema": references[0] if len(references) == 1 else {"anyOf": references},
        "examples": {name: {"summary": name, "value": value} for name, value in examples.items()},
    }
