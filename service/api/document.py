"""The OpenAPI document: what FastAPI does not find in the signatures of routes."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import orjson
from fastapi import FastAPI, Response
from pydantic.json_schema import models_json_schema

from schemas.example_files import read_examples
from schemas.registry import TAGS_V1, VERDICT_V1
from service.api.errors import error_document
from service.api.models import ErrorAnswer, ImageRequest, ImageRequests
from service.api.openai.chat_body import ChatCompletionRequest
from service.api.openai.moderation_body import ModerationRequest

ABOUT = """\
Judges images: OpenAI's moderation and chat, and modstream's own verdicts. The engine, the policies and the limits are
those of the stream. Errors have OpenAI's form; `code` is a stable reason code.

Press *Authorize* and paste an API key to try the routes here. `modstream api` prints a key when it starts,
`modstream keys create` makes others. The base URL of OpenAI's clients is the address of this service with `/v1`.
"""

_FAILURES: Mapping[int, tuple[str, str, str]] = {
    400: ("The request cannot be understood.", "api.body_not_json", "The body is not JSON: trailing comma"),
    401: ("The key is missing or not accepted.", "access.key_missing", "The request has no API key"),
    403: ("The key lacks a scope.", "access.scope_missing", "The request needs the scope moderate; it has read"),
    413: ("The body or the image is too large.", "api.body_too_large", "The body exceeds 33554432 bytes"),
    415: ("The content type is not supported.", "api.media_type_unsupported", "This route takes application/json"),
    422: (
        "The body breaks a rule, or the image cannot be judged.",
        "image.not_found",
        "The image is not there: no such file, or no right to read it",
    ),
    429: ("Too many requests: see Retry-After.", "api.busy", "256 images wait for a place already. Try again in 2 s"),
    500: ("A defect of the service.", "api.unexpected", "A defect of the service"),
    502: ("The host of the image failed.", "fetch.failed", "The image could not be fetched"),
    503: ("The service cannot answer now: see Retry-After.", "api.draining", "The service is shutting down"),
    504: ("The image was not judged in time.", "api.timeout", "The image was not judged within 60 s"),
}
"""By status: what it means, and an example of its code and its message."""

_JSON = "application/json"
_CLIENT_ERROR = 400
_SERVER_ERROR = 500

_HEALTH: Mapping[str, object] = {
    "status": "ok",
    "warnings": [],
    "version": "0.1.0",
    "uptime_s": 27.1,
    "api": {"in_work": 2, "waiting": 0},
    "engine": {"kind": "vllm", "model": "Qwen/Qwen3-VL-8B-Instruct-FP8"},
    "gpu_memory_used": 22_548_578_304,
    "gpu_memory_total": 25_757_220_864,
    "checks": {"engine": True, "draining": False},
}


def failures() -> dict[int | str, dict[str, Any]]:
    """Return the answers that every route may give instead of its own."""
    return {status: {"model": ErrorAnswer, "description": text} for status, (text, _, _) in _FAILURES.items()}


def complete_document(app: FastAPI) -> None:
    """Serve the document with titles, examples of answers, and the models of bodies that routes read themselves."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = original()
            _add_bodies(document)
            examples = _examples()
            for operation in _operations(document):
                operation["summary"] = _first_sentence(operation["description"])
                _correct_media_types(operation)
                _add_examples(operation, examples)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it
    _serve(app)


def _serve(app: FastAPI) -> None:
    @cache
    def encoded() -> bytes:
        return orjson.dumps(app.openapi())

    async def document() -> Response:
        return Response(encoded(), media_type="application/json")

    app.add_api_route("/openapi.json", document, methods=["GET"], include_in_schema=False)


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def _first_sentence(description: str) -> str:
    found = re.match(r"(.+?)\.(?=\s|$)", " ".join(description.split()))
    return found[1] if found else description


def _add_bodies(document: dict[str, Any]) -> None:
    models = (ImageRequest, ImageRequests, ChatCompletionRequest, ModerationRequest)
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    document["components"]["schemas"].update(definitions["$defs"])


def _correct_media_types(operation: dict[str, Any]) -> None:
    """Say that errors are JSON: FastAPI gives them the media type of the route's answers."""
    for status, response in operation["responses"].items():
        if int(status) >= _CLIENT_ERROR and response.get("content"):
            response["content"] = {_JSON: next(iter(response["content"].values()))}


def _add_examples(operation: dict[str, Any], examples: Mapping[str, object]) -> None:
    for status, response in operation["responses"].items():
        content = response.get("content", {}).get(_JSON)
        if content is None:
            continue
        if status == "200" and operation["operationId"] in examples:
            content["example"] = examples[operation["operationId"]]
        elif int(status) in _FAILURES:
            content["example"] = _failure(int(status))


def _failure(status: int) -> dict[str, object]:
    _, reason, message = _FAILURES[status]
    kind = "server_error" if status >= _SERVER_ERROR else "invalid_request_error"
    return error_document(message, kind=kind, reason=reason)


def _examples() -> Mapping[str, object]:
    """Return examples of answers by the id of their operation."""
    verdict, tags = read_examples(VERDICT_V1)["review"], read_examples(TAGS_V1)["objects"]
    judged = {"image_id": verdict["image_id"], "verdict": verdict, "tags": None, "error": None}
    tagged = {"image_id": tags["image_id"], "verdict": None, "tags": tags, "error": None}
    return {"health": _HEALTH, "verdicts": judged, "verdict": judged, "tags": tagged}
