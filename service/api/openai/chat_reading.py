"""Pure: the JSON of a chat as a request within the limits of this service, and the places of its images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from service.api.openai.chat_body import ChatCompletionRequest, JsonSchemaFormat, options_of
from service.api.openai.chat_errors import (
    ChatFieldError,
    ChatInvalidError,
    ChatPartError,
    ChatRefusedError,
    ChatRoleError,
    ChatTextTooLongError,
    ChatTooManyImagesError,
    ChatTooManyTokensError,
)
from service.api.openai.chat_messages import PART_NOT_SUPPORTED, ROLE_NOT_SUPPORTED, ImagePart, Message, TextPart
from service.api.openai.chat_schema import check_schema
from service.core.pixels import RgbPixels
from service.core.validation_text import text_of
from service.settings.api import ApiSettings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_KINDS: Mapping[str, type[ChatRefusedError]] = {
    PART_NOT_SUPPORTED: ChatPartError,
    ROLE_NOT_SUPPORTED: ChatRoleError,
}
_TAGS = frozenset({"system", "user", "assistant", "text", "image_url", "json_object", "json_schema"})
"""Steps that pydantic adds to a place for the kind of message, part or format it took a value for."""
_MESSAGE_STEPS, _PART_STEPS, _FORMAT_STEPS = 2, 4, 1
"""Steps of a place after which it does."""


@dataclass(frozen=True, slots=True)
class ChatImage:
    """An image that a message names."""

    url: str
    is_small: bool
    """Whether the client asks for the image at low detail."""
    place: str
    """Of its field in the body, such as `messages.1.content.0.image_url`."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat whose images have not been fetched."""

    body: ChatCompletionRequest
    options: Mapping[str, Any]
    images: Sequence[ChatImage]

    def messages(self, pixels: Sequence[RgbPixels]) -> list[Mapping[str, Any]]:
        """Return the messages with pixels in the place of images, in their order."""
        left = iter(pixels)
        return [_message(message, left) for message in self.body.messages]


def read_chat(value: Any, settings: ApiSettings) -> Chat:
    """Return a chat; raises a `ChatRefusedError` that names the field, never its value."""
    try:
        body = ChatCompletionRequest.model_validate(value)
    except ValidationError as error:
        raise _refusal(error) from None
    images = list(_images(body))
    if len(images) > settings.max_images:
        raise ChatTooManyImagesError(number=len(images), limit=settings.max_images, param="messages")
    _check_texts(body, settings.chat.max_text_bytes)
    _check_options(body, settings.chat.max_tokens)
    return Chat(body, options_of(body), images)


def _refusal(error: ValidationError) -> ChatRefusedError:
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = _place(fault)
    if fault["type"] == "extra_forbidden":
        return ChatFieldError(field=place, param=place)
    kind = _KINDS.get(fault["type"], ChatInvalidError)
    return kind(detail=f"{place}: {text_of(fault)}" if place else text_of(fault), param=place or None)


def _place(fault: "ErrorDetails") -> str:
    """Return where a fault is, in the words of the client's body."""
    steps: list[str] = []
    tagged_at = 0
    for step in fault["loc"]:
        is_tag = step in _TAGS and len(steps) in (_MESSAGE_STEPS, _PART_STEPS, _FORMAT_STEPS) and len(steps) > tagged_at
        if is_tag:
            tagged_at = len(steps)
        else:
            steps.append(str(step)[:80])
    return ".".join(steps)


def _images(body: ChatCompletionRequest) -> Iterator[ChatImage]:
    for number, message in enumerate(body.messages):
        for place, part in enumerate(message.content):
            if isinstance(part, ImagePart):
                at = f"messages.{number}.content.{place}.image_url"
                yield ChatImage(part.image_url.url, part.image_url.detail == "low", at)


def _check_texts(body: ChatCompletionRequest, limit: int) -> None:
    texts = (part.text for message in body.messages for part in message.content if isinstance(part, TextPart))
    size = sum(len(text.encode()) for text in texts)
    if size > limit:
        raise ChatTextTooLongError(size=size, limit=limit, param="messages")


def _check_options(body: ChatCompletionRequest, max_tokens: int) -> None:
    for field in ("max_tokens", "max_completion_tokens"):
        asked = getattr(body, field)
        if asked is not None and asked > max_tokens:
            raise ChatTooManyTokensError(asked=asked, limit=max_tokens, param=field)
    if body.top_logprobs and not body.logprobs:
        raise ChatInvalidError(detail="top_logprobs needs logprobs", param="top_logprobs")
    if body.stream_options is not None and not body.stream:
        raise ChatInvalidError(detail="stream_options needs stream", param="stream_options")
    if isinstance(body.response_format, JsonSchemaFormat):
        check_schema(body.response_format.json_schema.json_schema, param="response_format.json_schema.schema")


def _message(message: Message, pixels: Iterator[RgbPixels]) -> Mapping[str, Any]:
    role = "system" if message.role == "developer" else message.role
    first, *others = message.content
    if isinstance(first, TextPart) and not others:
        return {"role": role, "content": first.text}
    return {"role": role, "content": [_part(part, pixels) for part in message.content]}


def _part(part: TextPart | ImagePart, pixels: Iterator[RgbPixels]) -> Mapping[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    return {"type": "image", "pixels": next(pixels)}
