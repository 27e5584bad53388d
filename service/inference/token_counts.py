"""Counts the tokens of answers, as far as a runtime tells them."""

from collections.abc import Mapping
from typing import Any

from service.telemetry import names
from service.telemetry.instruments import ENGINE_TOKENS

_PROMPT = {names.KIND: "prompt"}
_CACHED = {names.KIND: "cached"}
_GENERATED = {names.KIND: "generated"}


def count_tokens(*, prompt: int, cached: int, generated: int) -> None:
    """Take note of one answer; the cached ones are among those of the prompt."""
    ENGINE_TOKENS.add(prompt, _PROMPT)
    ENGINE_TOKENS.add(cached, _CACHED)
    ENGINE_TOKENS.add(generated, _GENERATED)


def begin_tokens_at_zero() -> None:
    """Make all three known before the first answer."""
    for labels in (_PROMPT, _CACHED, _GENERATED):
        ENGINE_TOKENS.add(0, labels)


def count_usage(answer: Mapping[str, Any]) -> None:
    """Take note of what a server with OpenAI's API tells of an answer; counts nothing of what it leaves out."""
    usage = _mapping(answer.get("usage"))
    details = _mapping(usage.get("prompt_tokens_details"))
    count_tokens(
        prompt=_count(usage.get("prompt_tokens")),
        cached=_count(details.get("cached_tokens")),
        generated=_count(usage.get("completion_tokens")),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
