"""The first tokens of words as answers, by a server's own tokenizer."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from service.inference.errors import EngineFailedError
from service.inference.openai.client import OpenAIClient
from service.inference.openai.fleet import Server

# Any turn will do: what counts is what stands between it and the answer.
_QUESTION: Mapping[str, Any] = {"role": "user", "content": "?"}


async def first_tokens(
    client: OpenAIClient, server: Server, model: str, words: Sequence[str]
) -> Mapping[str, int] | None:
    """Return the first token of each word right after the prompt for an answer; None if the server tokenizes nothing.

    Raises `EngineFailedError` if the server fails.
    """
    asked = {"messages": [_QUESTION], "add_generation_prompt": True}
    before = await _tokens(client, server, {"model": model} | asked)
    if not before:
        return None
    return {word: await _first_token(client, server, model, word, before) for word in words}


async def _first_token(client: OpenAIClient, server: Server, model: str, word: str, before: Sequence[int]) -> int:
    messages = [_QUESTION, {"role": "assistant", "content": word}]
    form = {"add_generation_prompt": False, "continue_final_message": True}
    after = await _tokens(client, server, {"model": model, "messages": messages} | form)
    if len(after) > len(before) and after[: len(before)] == before:
        return after[len(before)]
    # This template renders a given answer otherwise than it asks for one.
    alone = await _tokens(client, server, {"model": model, "prompt": word, "add_special_tokens": False})
    if not alone:
        raise EngineFailedError(detail=f"{server.name} makes no token of {word!r}")
    return alone[0]


async def _tokens(client: OpenAIClient, server: Server, body: Mapping[str, Any]) -> Sequence[int]:
    """Return a prompt's tokens; none if the server has no such path, refuses the request or answers no JSON."""
    answer = await client.exchange(server, "/tokenize", orjson.dumps(body))
    if not answer.succeeded:
        failure = answer.failure()
        if isinstance(failure, EngineFailedError):
            raise failure
        return ()
    try:
        tokens = answer.json().get("tokens")
    except EngineFailedError:
        return ()  # a page of a gateway, or of an application behind the same address
    return tokens if isinstance(tokens, list) and all(isinstance(token, int) for token in tokens) else ()
