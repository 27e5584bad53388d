"""vLLM's own serving layer for chat completions.

Only the class behind one route is used, not vLLM's application: nothing else of it can be reached.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.openai.chat_completion.serving import OpenAIServingChat
from vllm.entrypoints.openai.models.protocol import BaseModelPath
from vllm.entrypoints.openai.models.serving import OpenAIServingModels
from vllm.renderers.online_renderer import OnlineRenderer
from vllm.sampling_params import RequestOutputKind, SamplingParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError as VllmDeadError

from service.core.errors import EngineDeadError
from service.inference.vllm.trace_context import trace_headers
from service.inference.vllm.watchdog import Watchdog

_STEPS_A_SIGN = 16
"""Tokens of an answer that is not streamed between two signs of life, each of which costs a turn of the event loop."""


class ServingLayer(OpenAIServingChat):  # type: ignore[misc]  # vLLM's types are not checked
    """vLLM's serving layer without adapters that a request does not name."""

    def _get_active_default_mm_loras(self, request: ChatCompletionRequest) -> None:
        """Return None; vLLM would take an adapter that is named "text" or "image" for a default."""


class LivingEngine:
    """vLLM's engine, each answer of which shows the watchdog that it lives."""

    def __init__(self, engine: AsyncLLM, watchdog: Watchdog) -> None:
        self._engine = engine
        self._watchdog = watchdog

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def generate(
        self, prompt: Any, params: SamplingParams, request_id: str, **options: Any
    ) -> AsyncIterator[Any]:
        """Generate as vLLM does, and in steps also where only the end is wanted."""
        if params.output_kind is RequestOutputKind.FINAL_ONLY and params.n == 1:
            params.output_kind, params.stream_interval = RequestOutputKind.CUMULATIVE, _STEPS_A_SIGN
        options["trace_headers"] = await trace_headers(self._engine)
        try:
            async with aclosing(self._engine.generate(prompt, params, request_id, **options)) as answers:
                async for answer in answers:
                    self._watchdog.answered()
                    yield answer
        except VllmDeadError:
            self._watchdog.fail(EngineDeadError(detail="its process ended"))
            raise


def serving_layer(engine: LivingEngine, name: str) -> ServingLayer:
    """Return the serving layer of an engine whose model clients call `name`."""
    template: Mapping[str, Any] = {"chat_template": None, "chat_template_content_format": "auto"}
    renderer = OnlineRenderer(engine.model_config, engine.renderer, request_logger=None, **template)
    models = OpenAIServingModels(engine, [BaseModelPath(name=name, model_path=name)])
    return ServingLayer(
        engine,
        models,
        "assistant",
        online_renderer=renderer,
        request_logger=None,
        enable_prompt_tokens_details=True,
        **template,
    )
