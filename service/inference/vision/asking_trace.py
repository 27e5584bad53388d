"""The span of a question to a model, by the conventions for generative AI."""

from opentelemetry.trace import SpanKind

from service.core.spans import Span, Value, current_span
from service.inference.engine import EngineDescription
from service.inference.token_counts import count_tokens
from service.telemetry import names

WHICH = "which"
"""The question of stage 1; all others belong to stage 2."""


def asking(question: str, description: EngineDescription) -> Span:
    """Begin the span of a question, named `which` or `is_it/category`, once it has its turn."""
    span = current_span()
    if not span.is_recording:
        return span
    model = description.adapter or description.model_name
    return span.child(
        f"{names.CHAT} {model}", kind=SpanKind.CLIENT, attributes=_attributes(question, model, description.kind)
    )


def record_token_counts(*, given: int | None, cached: int | None, generated: int | None) -> None:
    """Count the tokens of the current question's answer, as far as they are known, and set them on its span."""
    count_tokens(prompt=given or 0, cached=cached or 0, generated=generated or 0)
    span = current_span()
    for name, count in (
        (names.GEN_AI_USAGE_INPUT_TOKENS, given),
        (names.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS, cached),
        (names.GEN_AI_USAGE_OUTPUT_TOKENS, generated),
    ):
        if count is not None:
            span.set(name, count)


def _attributes(question: str, model: str, kind: str) -> dict[str, Value]:
    name, _, category = question.partition("/")
    attributes: dict[str, Value] = {
        names.GEN_AI_OPERATION_NAME: names.CHAT,
        names.GEN_AI_PROVIDER_NAME: kind,
        names.GEN_AI_REQUEST_MODEL: model,
        names.QUESTION: name,
        names.ENGINE_STAGE: 1 if name == WHICH else 2,
    }
    if category:
        attributes[names.CATEGORY] = category
    return attributes
