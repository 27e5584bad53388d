"""Pure: reads the log-probabilities of words, or the text, from a chat completion."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from service.inference.errors import EngineFailedError
from service.inference.openai.answers import error_message
from service.inference.vision.token_model import GeneratedText

_TOKEN_ID = "token_id:"  # noqa: S105 - how vLLM writes a token that it was asked to name by its number
# JSON has no infinity; this or less is what vLLM writes for it.
_NONE_AT_ALL = -9999.0

ROUNDING = 0.01
"""A log-probability may be above 0 by this much: of a token that is certain, computed in half precision."""

_MAX_TOKEN_CHARACTERS = 128
"""Longest token in characters in the vocabularies of Qwen and Llama: a run of blanks."""

_MAX_TOKENS = 10_000_000
"""More than the longest context there is: a larger count is none."""


def check_answer(answer: Mapping[str, Any]) -> None:
    """Raise `EngineFailedError` for an error that a server answers with status 200, as some gateways do."""
    if "choices" not in answer and (message := error_message(answer)):
        raise EngineFailedError(detail=f"a server answered with status 200 and an error: {message}")


def first_step(answer: Mapping[str, Any]) -> dict[str, float]:
    """Return the log-probabilities that an answer gives for its first token, by `token_id:…` or by text.

    Raises `EngineFailedError` if it gives none, or generation failed.
    """
    check_answer(answer)
    try:
        (choice,) = answer["choices"]
        step = choice["logprobs"]["content"][0]
        alternatives = [step, *step["top_logprobs"]]
        found = {_text(each["token"]): _log_probability(each["logprob"]) for each in alternatives}
    except (KeyError, IndexError, TypeError, ValueError):
        raise EngineFailedError(detail="a server's answer has no log-probabilities") from None
    if choice.get("finish_reason") == "error":
        raise EngineFailedError(detail="a server broke its answer off")
    return found


def usage(answer: Mapping[str, Any]) -> dict[str, int | None]:
    """Return the token counts in a response, None for those that it lacks."""
    reported = answer.get("usage")
    found = reported if isinstance(reported, dict) else {}
    details = found.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    counts = {"given": found.get("prompt_tokens"), "cached": cached, "generated": found.get("completion_tokens")}
    return {name: count if _is_count(count) else None for name, count in counts.items()}


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_TOKENS


def written(answer: Mapping[str, Any], *, max_tokens: int) -> GeneratedText:
    """Return the text of an answer with its pieces; raise `EngineFailedError` if generation failed.

    A text of more characters than `max_tokens` can have is a failure, too: reading JSON of megabytes takes seconds.
    """
    try:
        choice = answer["choices"][0]
        text = choice["message"]["content"]
    except (KeyError, IndexError, TypeError):
        text, choice = None, {}
    if not isinstance(text, str) or choice.get("finish_reason") == "error":
        raise EngineFailedError(detail="a server's answer has no text")
    if len(text) > max_tokens * _MAX_TOKEN_CHARACTERS:
        raise EngineFailedError(detail=f"a server wrote more than {max_tokens} tokens can hold")
    return GeneratedText(text, _pieces(choice, text))


def _pieces(choice: Mapping[str, Any], text: str) -> Sequence[tuple[str, float]]:
    """Return nothing where they do not make up the text: a token may be a part of a character, or the end's."""
    try:
        steps = choice["logprobs"]["content"]
        pieces = [(_text(step["token"]), _log_probability(step["logprob"])) for step in steps]
    except (KeyError, TypeError, ValueError):
        return ()
    if "".join(piece for piece, _ in pieces[:-1]) == text:
        pieces = pieces[:-1]
    return pieces if "".join(piece for piece, _ in pieces) == text else ()


def of_words(step: Mapping[str, float], words: Mapping[str, int]) -> dict[str, float]:
    """Return the log-probability of each word's first token; -inf for one that the answer lacks."""
    return {word: _of_word(step, word, token, words) for word, token in words.items()}


def is_incomplete(step: Mapping[str, float], tokens: Sequence[int]) -> bool:
    """Return whether the log-probability of a token is missing."""
    return any(f"{_TOKEN_ID}{token}" not in step for token in tokens)


def others(step: Mapping[str, float], tokens: Sequence[int]) -> bool:
    """Return whether tokens other than these have a probability."""
    names = {f"{_TOKEN_ID}{token}" for token in tokens}
    return any(name not in names and value > -math.inf for name, value in step.items())


def _of_word(step: Mapping[str, float], word: str, token: int, words: Collection[str]) -> float:
    by_id = step.get(f"{_TOKEN_ID}{token}")
    if by_id is not None:
        return by_id
    # Of the tokens that a word may begin with, the longest is the one that a tokenizer takes.
    # A text that is a word itself is that word's alone.
    begins = [text for text in step if text and word.startswith(text) and (text == word or text not in words)]
    return step[max(begins, key=len)] if begins else -math.inf


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _log_probability(value: object) -> float:
    """Return -inf for no chance at all; raise `TypeError` for what is no number, which must not pass for that."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError
    return value if value > _NONE_AT_ALL else -math.inf
