"""Images as lines of JSON (NDJSON), any number in one request: read as they are judged, answered as they are done."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import orjson
import structlog
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from schemas.example_files import read_examples
from schemas.registry import IMAGE_UPLOADED_V1
from service.api.bodies import MediaTypeError, content_type_of
from service.api.callers.access import Caller
from service.api.judging.batch_judge import LineJudge
from service.api.judging.batch_limits import Batches, BatchStalledError
from service.api.judging.batch_lines import Line, LineSplitter
from service.api.judging.batch_models import BATCH_PATH, BatchOutcome, BatchProgress, BatchSummary, Order
from service.api.judging.batch_run import BatchRun, LineRoom, Write
from service.api.judging.places import DrainingError, Places
from service.api.models import ErrorAnswer
from service.api.parts import ApiParts, Moderates
from service.api.request_log import facts_of

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/x-ndjson"
_MEDIA_TYPES = frozenset({MEDIA_TYPE, "application/ndjson", "application/jsonl", "application/x-jsonlines"})


def batch_routes(parts: ApiParts) -> APIRouter:
    """Return the route of batches."""
    router = APIRouter(tags=["verdicts"])
    batches = Batches(parts.settings.max_batches)

    async def verdicts_batch(
        request: Request,
        caller: Moderates,
        order: Annotated[
            Order, Query(description="Whether outcomes come in the order of their lines, or as they are done.")
        ] = "input",
        progress_s: Annotated[
            float | None, Query(ge=0.1, le=3600, description="Seconds between lines of progress; none if missing.")
        ] = None,
    ) -> Response:
        """Judge any number of images: one JSON object a line, as /v1/verdicts takes it.

        The answer has a line for each that is not empty, and a last one of the kind `summary`. A line that cannot be
        judged has an error as its outcome. The request is read as it is judged: read the answer while you send.
        """
        if content_type_of(request) not in _MEDIA_TYPES and "content-type" in request.headers:
            raise MediaTypeError(expected=MEDIA_TYPE)
        return _BatchAnswer(parts, batches, caller, order=order, progress_s=progress_s)

    router.add_api_route(
        BATCH_PATH,
        verdicts_batch,
        methods=["POST"],
        responses={
            200: {"model": BatchOutcome | BatchProgress | BatchSummary, "description": "One JSON object a line."},
            408: {"model": ErrorAnswer, "description": "Nothing of the batch came for a while."},
        },
        response_class=_NdjsonResponse,
        openapi_extra=_body(),
        operation_id="verdicts_batch",
    )
    return router


class _NdjsonResponse(StreamingResponse):
    media_type = MEDIA_TYPE


class _BatchAnswer(_NdjsonResponse):
    """Reads the request and writes the answer at the same time, which Starlette's class does not."""

    def __init__(
        self, parts: ApiParts, batches: Batches, caller: Caller, *, order: Order, progress_s: float | None
    ) -> None:
        # Buffering proxies, nginx first, would hold outcomes back.
        super().__init__((), headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"})
        self._parts = parts
        self._batches = batches
        self._caller = caller
        self._order = order
        self._progress_s = progress_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        settings = self._parts.settings
        judge = LineJudge(self._parts, self._caller, facts_of(scope))
        pieces = _pieces(receive, self._parts.places, timeout_s=settings.timeout_s)
        with self._batches.batch(self._caller.tenant):
            try:
                # Before the answer begins: clients may wait for "100 Continue", or for a refusal.
                first = await anext(pieces, b"")
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                room = LineRoom(settings.max_batch_lines, settings.max_body_bytes)
                run = BatchRun(judge, room, _writer(send), order=self._order, progress_s=self._progress_s)
                await run.run(_lines(first, pieces, LineSplitter(settings.max_body_bytes)))
                await send({"type": "http.response.body", "body": b""})
            except* ClientDisconnect:
                log.info("api.batch_left")


def _writer(send: Send) -> Write:
    async def write(line: BaseModel) -> None:
        body = line.model_dump_json().encode() + b"\n"
        await send({"type": "http.response.body", "body": body, "more_body": True})

    return write


async def _lines(first: bytes, rest: AsyncIterator[bytes], splitter: LineSplitter) -> AsyncIterator[Line]:
    for line in splitter.feed(first):
        yield line
    async for piece in rest:
        for line in splitter.feed(piece):
            yield line
    for line in splitter.end():
        yield line


async def _pieces(receive: Receive, places: Places, *, timeout_s: float) -> AsyncIterator[bytes]:
    """Yield the body as it comes; raises `DrainingError`, `BatchStalledError` or `ClientDisconnect`."""
    has_more = True
    while has_more:
        message = await _received(receive, places, timeout_s=timeout_s)
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        yield message.get("body", b"")
        has_more = message.get("more_body", False)


async def _received(receive: Receive, places: Places, *, timeout_s: float) -> Message:
    receiving = asyncio.ensure_future(receive())
    draining = asyncio.ensure_future(places.draining.wait())
    try:
        await asyncio.wait({receiving, draining}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if receiving.done():
            return receiving.result()
        if draining.done():
            raise DrainingError
        raise BatchStalledError(limit_s=timeout_s)
    finally:
        receiving.cancel()
        draining.cancel()


def _body() -> dict[str, Any]:
    example = read_examples(IMAGE_UPLOADED_V1)["minimal_by_url"]
    lines = b"".join(orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in (example, example))
    schema = {"type": "string", "description": "One ImageRequest a line."}
    examples = {"two": {"summary": "two", "value": lines.decode()}}
    return {"requestBody": {"required": False, "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}}}}
