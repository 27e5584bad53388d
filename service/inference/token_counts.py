"""Counts a language model's tokens, as far as a runtime reports them."""

from service.telemetry import labels
from service.telemetry.instruments import ENGINE_TOKENS

_PROMPT = {labels.KIND: "prompt"}
_CACHED = {labels.KIND: "cached"}
_GENERATED = {labels.KIND: "generated"}


def count_tokens(*, prompt: int, cached: int, generated: int) -> None:
    """Count the tokens of one answer; cached tokens are among those of the prompt."""
    ENGINE_TOKENS.add(prompt, _PROMPT)
    ENGINE_TOKENS.add(cached, _CACHED)
    ENGINE_TOKENS.add(generated, _GENERATED)


def begin_tokens_at_zero() -> None:
    """Create the three series with 0, before the first answer."""
    for kind in (_PROMPT, _CACHED, _GENERATED):
        ENGINE_TOKENS.add(0, kind)
