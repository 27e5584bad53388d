"""Why a chat is not answered."""

import math
from http import HTTPStatus

from service.api.errors import ApiError
from service.api.judging.places import TooBusyError


class ChatRefusedError(ApiError):
    """Base of the errors of a chat that is at fault itself; OpenAI's clients expect this status."""

    status = HTTPStatus.BAD_REQUEST


class ChatInvalidError(ChatRefusedError):
    """A field of the chat has a value that it cannot have."""

    reason = "chat.invalid"
    message = "The chat is not valid: {detail}"


class ChatFieldError(ChatRefusedError):
    """The chat has a field that this service does not know, or does not leave to clients."""

    reason = "chat.field_not_supported"
    message = "The field {field} is not supported: leave it out"


class ChatPartError(ChatRefusedError):
    """A message has a part that is neither text nor an image, such as video, audio or a file."""

    reason = "chat.part_not_supported"
    message = "The chat is not valid: {detail}"


class ChatRoleError(ChatRefusedError):
    """A message has a role that is not supported, such as that of a tool."""

    reason = "chat.role_not_supported"
    message = "The chat is not valid: {detail}"


class ChatTextTooLongError(ChatRefusedError):
    """The messages have more text than the service takes."""

    reason = "chat.text_too_long"
    message = "The texts of the messages have {size} bytes, more than {limit} (api.chat.max_text_bytes)"


class ChatTooManyImagesError(ChatRefusedError):
    """The messages have more images than the service takes."""

    reason = "chat.too_many_images"
    message = "{number} images exceed {limit} a request (api.max_images)"


class ChatTooManyTokensError(ChatRefusedError):
    """The chat asks for a longer answer than the service gives."""

    reason = "chat.too_many_tokens"
    message = "{asked} tokens exceed {limit}, the longest answer of this service (api.chat.max_tokens)"


class ChatModelUnknownError(ApiError):
    """The chat names a model that is not served."""

    status = HTTPStatus.NOT_FOUND
    reason = "chat.model_unknown"
    message = (
        "The model {name!r} is not served; GET /v1/models lists what is. Name one of these, or none, or let the "
        "operator add the name to api.chat.aliases"
    )


class NoLanguageModelError(ApiError):
    """The engine of this service is no language model."""

    status = HTTPStatus.NOT_IMPLEMENTED
    reason = "chat.no_language_model"
    kind = "server_error"
    message = (
        "The engine {engine} judges images and writes no text. Chats need a vision-language model: set engine.kind to "
        "vllm and install it (in a checkout: make install-gpu; without a GPU make install, and modstream api --engine "
        "tiny to try it), or set engine.kind to openai and engine.openai.base_urls to servers such as vllm serve"
    )


class ChatTimeoutError(ApiError):
    """The chat, or a part of its streamed answer, took too long."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    reason = "chat.timeout"
    kind = "server_error"
    message = "The chat was not answered within {limit_s:g} s (api.timeout_s). Ask for fewer tokens, or stream it"

    def __init__(self, *, limit_s: float) -> None:
        super().__init__(headers={"Retry-After": str(max(1, math.ceil(limit_s / 10)))}, limit_s=limit_s)


class ChatsBusyError(TooBusyError):
    """Too many chats wait already."""

    reason = "chat.busy"
    message = "{waiting} chats wait for the model already (api.share, api.max_waiting). Try again in {after_s} s"
