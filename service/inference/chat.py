"""The interface to a language model for chat completions in OpenAI's form, as the HTTP API offers them.

A request was checked before it comes here: its fields are known and bounded, its images are pixels. No runtime fetches
or decodes anything that a client chose.
"""

import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from service.core.pixels import ImageSpec, RgbPixels

Message = Mapping[str, Any]
"""A message in OpenAI's form. Instead of image_url, its parts have `{"type": "image", "pixels": …}`."""


@dataclass(frozen=True, slots=True)
class ChatModel:
    """A model that a client may name."""

    name: str
    parent: str | None = None
    """The model that an adapter belongs to; None for the model itself."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One chat."""

    request_id: str
    """Unique among all chats that are in flight."""
    messages: Sequence[Message]
    options: Mapping[str, Any]
    """Other fields of OpenAI's API, such as max_completion_tokens; without model, stream and stream_options."""
    max_tokens: int
    """Upper limit of the answer's tokens if the options have none."""
    tenant: str
    """Tenants share no cached beginnings of prompts, so that none finds out by time what another one asked."""
    adapter: str | None = None
    """The adapter to answer with; None for the model itself."""
    include_usage: bool = False
    """Whether the last part of a streamed answer counts the tokens."""


class ChatServer(Protocol):
    """A model that chats. Its calls may run at the same time and be cancelled, which frees what they held.

    They raise an engine's errors: `EngineRejectedError` for what the model refuses, `UnknownAdapterError` for an
    adapter that it does not have.
    """

    async def models(self) -> Sequence[ChatModel]:
        """Return the model, then its adapters."""
        ...

    def image_spec(self, images: int) -> ImageSpec:
        """Return the largest pixels of each of so many images in one request; valid once the engine has started."""
        ...

    async def complete(self, request: ChatRequest) -> Mapping[str, Any]:
        """Return OpenAI's `chat.completion` object."""
        ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[bytes, None]:
        """Yield the answer as server-sent events with OpenAI's `chat.completion.chunk` objects.

        The last event is `[DONE]`. Errors are raised, before the first event or after some.
        """
        ...


@runtime_checkable
class OffersChat(Protocol):
    """An engine that may have a model that chats."""

    @property
    def chat(self) -> ChatServer | None:
        """The model; None if this engine was built without it."""
        ...


def chat_server(engine: object) -> ChatServer | None:
    """Return an engine's model that chats; None for engines without one."""
    return engine.chat if isinstance(engine, OffersChat) else None


def written_messages(
    messages: Sequence[Message], write: Callable[[RgbPixels], Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return messages for a runtime: texts that spell no control token, and `write` of the pixels of each image."""
    return [{**message, "content": _written_content(message.get("content"), write)} for message in messages]


def _written_content(content: Any, write: Callable[[RgbPixels], Mapping[str, Any]]) -> Any:
    if isinstance(content, str):
        return without_control_tokens(content)
    return content and [_written_part(part, write) for part in content]


def _written_part(part: Mapping[str, Any], write: Callable[[RgbPixels], Mapping[str, Any]]) -> Mapping[str, Any]:
    if part["type"] == "image":
        return write(part["pixels"])
    return {**part, "text": without_control_tokens(part["text"])}


_CONTROL_TOKEN = re.compile(r"<(?=\|\w{1,40}\|>|/?(?:think|tool_call|tool_response)>)")
"""Where a token of Qwen's chat form begins. Chat templates make a text, in which the tokenizer finds a client's too."""

_BREAK = "\N{ZERO WIDTH SPACE}"


def without_control_tokens(text: str) -> str:
    """Return a text in which every control token is broken after its first character, invisibly for its readers."""
    return _CONTROL_TOKEN.sub(f"<{_BREAK}", text)
