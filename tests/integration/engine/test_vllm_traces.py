"""vLLM's own span of a request stands beneath ours of the question."""

import time

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from service.core.spans import current_span
from service.inference.vision.token_model import TokenModel
from service.telemetry.record_trace import Arrival, RecordTracer
from testing.spans import KeptSpans
from testing.tiny_api import TinyApi
from testing.waiting import wait_until
from tests.integration.engine.asking import LABELS, which

pytestmark = pytest.mark.asyncio(loop_scope="session")

SAMPLED, UNSAMPLED = "a" * 32, "b" * 32


async def ask(model: TokenModel, kept: KeptSpans, trace_id: str, flags: str) -> None:
    """Ask within the trace of an uploader."""
    headers = (("traceparent", f"00-{trace_id}-b7ad6b7169203331-{flags}".encode()),)
    arrival = Arrival("images.uploaded", 0, 0, 0, headers, time.perf_counter())
    words = dict(await model.prepare(None, LABELS))
    with RecordTracer(kept.sink(), group_id="group").delivery(arrival).attempt(1), current_span().child("chat tiny"):
        await model.read(which(1), words)


async def test_a_request_is_traced_beneath_its_question_and_one_that_is_not_sampled_is_not(
    model: TokenModel, tiny_api: TinyApi
) -> None:
    kept = KeptSpans()
    await ask(model, kept, UNSAMPLED, "00")
    await ask(model, kept, SAMPLED, "01")

    def of(trace_id: str) -> list[Span]:
        return [span for span in tiny_api.collector.spans() if span.trace_id.hex() == trace_id]

    await wait_until(lambda: bool(of(SAMPLED)), description="vLLM's span arrives")
    (theirs,) = of(SAMPLED)
    ours = kept.named("chat tiny")
    assert theirs.parent_span_id == ours.context.span_id.to_bytes(8, "big")
    assert (theirs.name, theirs.kind) == ("llm_request", Span.SPAN_KIND_SERVER)
    reported = {fact.key: fact.value for fact in theirs.attributes}
    assert reported["gen_ai.usage.prompt_tokens"].int_value == ours.attributes["gen_ai.usage.input_tokens"]
    assert ours.attributes["gen_ai.usage.output_tokens"] == 1
    assert "gen_ai.latency.time_in_queue" in reported
    assert of(UNSAMPLED) == []
