"""Chat completions by vLLM's own serving layer, over the engine of a `VllmModel`."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import orjson
from PIL import Image
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest, ChatCompletionResponse
from vllm.entrypoints.serve.engine.protocol import ErrorResponse
from vllm.exceptions import GenerationError, GracefulHTTPError, VLLMClientError, VLLMError
from vllm.lora.request import LoRARequest
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError as VllmDeadError

from service.core.errors import EngineDeadError
from service.core.pixels import ImageSpec, RgbPixels
from service.inference.chat import ChatModel, ChatRequest, written_messages
from service.inference.errors import EngineFailedError, EngineNotRunningError, EngineRejectedError
from service.inference.token_counts import count_tokens
from service.inference.vision.image_input import fit, image_spec
from service.inference.vllm.error_text import error_line
from service.inference.vllm.model_files import model_name
from service.inference.vllm.serving_layer import LivingEngine, ServingLayer, serving_layer
from service.inference.vllm.watchdog import Watchdog
from service.settings.vllm import VllmSettings, adapter_name

_ATTEMPTS = 2
"""An engine that lost an image from its cache says so by a failed answer, and has it again with the second request."""

_IMAGES_SHARE = 3 / 4
"""Of the context, for all images of a request together. The rest is for texts and the answer."""

_MAX_VISION_TOKENS = 8192
"""Of all images of one request. Their pixels are held until it is answered, and take 25 MB then."""

_DATA = "data: "
_ERROR_EVENT = _DATA + '{"error"'
_USAGE_ALONE = '"choices":[]'
"""Of the event that counts the tokens; within a text its quotes would be escaped."""

Adapters = Callable[[str], Awaitable[LoRARequest]]
"""Loads an adapter into the engine if it is not there; raises `UnknownAdapterError`."""


class VllmChat:
    """A `ChatServer` on vLLM's engine in this process."""

    def __init__(self, settings: VllmSettings, adapters: Adapters) -> None:
        self._settings = settings
        self._adapters = adapters
        self._name = model_name(settings.model)
        self._serving: ServingLayer | None = None
        self._watchdog: Watchdog | None = None

    def open(self, engine: AsyncLLM, watchdog: Watchdog) -> None:
        """Serve the engine."""
        self._watchdog = watchdog
        self._serving = serving_layer(LivingEngine(engine, watchdog), self._name)

    def close(self) -> None:
        """Refuse new requests; those in flight end with the engine."""
        self._serving = self._watchdog = None

    async def models(self) -> Sequence[ChatModel]:
        """Return the model, then the adapters of `engine.vllm.adapters`."""
        adapters = (adapter_name(text) for text in self._settings.adapters)
        return [ChatModel(self._name), *(ChatModel(adapter, parent=self._name) for adapter in adapters)]

    def image_spec(self, images: int) -> ImageSpec:
        """Return pixels with which so many images take at most three quarters of the context."""
        settings = self._settings
        budget = min(int(settings.max_model_len * _IMAGES_SHARE), _MAX_VISION_TOKENS)
        share = max(settings.min_vision_tokens, budget // max(1, images))
        return image_spec(min(settings.max_vision_tokens, share))

    async def complete(self, request: ChatRequest) -> Mapping[str, Any]:
        """Return the whole answer."""
        serving, watchdog = self._running()
        may_be_silent = _may_be_silent(request.options)
        for attempt in range(_ATTEMPTS):
            asked = await self._asked(request, serving, stream=False, attempt=attempt)
            async with _ended(serving, asked), watchdog.watched(may_be_silent=may_be_silent):
                try:
                    return _completion(await _created(serving, asked))
                except GenerationError as error:
                    failure = error
        raise EngineFailedError(detail=error_line(failure)) from failure

    async def stream(self, request: ChatRequest) -> AsyncGenerator[bytes, None]:
        """Yield the answer's events."""
        serving, watchdog = self._running()
        watched = partial(watchdog.watched, may_be_silent=_may_be_silent(request.options))
        asked = await self._asked(request, serving, stream=True)
        async with _ended(serving, asked):
            async with watched():
                events = await _created(serving, asked)
            async with aclosing(events):
                while True:
                    # A step at a time: nothing may end this task while it is in the hands of who reads the events.
                    async with watched():
                        event = await anext(events, None)
                    if event is None:
                        return
                    if event.startswith(_ERROR_EVENT):
                        async with watched():  # the engine's death comes first
                            raise _failure(**orjson.loads(event.removeprefix(_DATA))["error"])
                    if _USAGE_ALONE in event:
                        _count(orjson.loads(event.removeprefix(_DATA))["usage"])
                        if not request.include_usage:
                            continue
                    yield event.encode()

    def _running(self) -> tuple[ServingLayer, Watchdog]:
        if self._serving is None or self._watchdog is None:
            raise EngineNotRunningError
        return self._serving, self._watchdog

    async def _asked(
        self, request: ChatRequest, serving: ServingLayer, *, stream: bool, attempt: int = 0
    ) -> ChatCompletionRequest:
        """Return a request as vLLM has it, once its adapter is in the engine."""
        if request.adapter is not None:
            serving.models.lora_requests[request.adapter] = await self._adapters(request.adapter)
        # The same for all requests, and less than the context where an answer has no limit of its own.
        serving.override_max_tokens = request.max_tokens
        fields = {
            **request.options,
            "model": request.adapter or self._name,
            "messages": [],
            "stream": stream,
            "stream_options": {"include_usage": True} if stream else None,
            "request_id": f"{request.request_id}.{attempt}",
            "cache_salt": sha256(request.tenant.encode()).hexdigest(),
        }
        try:
            asked = ChatCompletionRequest.model_validate(fields)
        except ValueError as error:
            raise EngineRejectedError(detail=error_line(error)) from error
        # Not validated: pydantic knows no pixels, and would wrap the rest in iterators.
        asked.messages = written_messages(request.messages, _as_pillow)
        return asked


@asynccontextmanager
async def _ended(serving: ServingLayer, asked: ChatCompletionRequest) -> AsyncIterator[None]:
    """Raise the service's errors for vLLM's; with the block a request that still runs in the engine ends."""
    try:
        yield
    except VllmDeadError as error:
        raise EngineDeadError(detail="its process ended") from error
    except (VLLMClientError, ValueError, TypeError, OverflowError) as error:
        raise EngineRejectedError(detail=error_line(error)) from error
    except (GracefulHTTPError, VLLMError) as error:
        raise EngineFailedError(detail=error_line(error)) from error
    finally:
        await serving.engine_client.abort(f"chatcmpl-{asked.request_id}")


async def _created(serving: ServingLayer, asked: ChatCompletionRequest) -> Any:
    """Return the answer, or the generator of its events."""
    answer = await serving.create_chat_completion(asked)
    if not isinstance(answer, ErrorResponse):
        return answer
    task = asyncio.current_task()
    if task is not None and task.cancelling():  # vLLM makes an answer of its own of a cancellation
        raise asyncio.CancelledError
    raise _failure(code=answer.error.code, message=answer.error.message)


def _failure(*, code: int, message: str, **_: object) -> EngineRejectedError | EngineFailedError:
    kind = EngineRejectedError if code < HTTPStatus.INTERNAL_SERVER_ERROR else EngineFailedError
    return kind(detail=message)


def _completion(answer: ChatCompletionResponse) -> Mapping[str, Any]:
    """Return an answer without vLLM's own fields that have no value, and count its tokens."""
    document: dict[str, Any] = answer.model_dump(mode="json", exclude_none=True)
    _count(document["usage"])
    return document


def _count(usage: Mapping[str, Any]) -> None:
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    count_tokens(prompt=usage["prompt_tokens"], cached=cached, generated=usage["completion_tokens"])


def _may_be_silent(options: Mapping[str, Any]) -> bool:
    """Return whether an answer may take long to begin although the engine works.

    A grammar is compiled before the first token, by other threads than the model's. Several answers come at once.
    """
    form = options.get("response_format") or {}
    return form.get("type", "text") != "text" or (options.get("n") or 1) > 1


def _as_pillow(pixels: RgbPixels) -> Mapping[str, Any]:
    """Return a part that holds an image, which vLLM neither fetches nor decodes."""
    return {"type": "image_pil", "image_pil": Image.fromarray(fit(pixels))}
