"""The trace that vLLM's own spans belong to."""

from collections.abc import Mapping

from vllm.v1.engine.async_llm import AsyncLLM

from service.core.spans import current_span
from service.telemetry.propagation import text_headers


async def trace_headers(engine: AsyncLLM) -> Mapping[str, str] | None:
    """Return the current context, also one that is not sampled: without any vLLM would take some other request's."""
    return text_headers(current_span().context) or None if await engine.is_tracing_enabled() else None
