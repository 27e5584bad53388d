"""The messages of a chat: texts, and images of the user. Parts and roles of other kinds are refused by their names."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

_MAX_PARTS = 256
_MAX_NAME_CHARACTERS = 256

PART_NOT_SUPPORTED = "chat.part_not_supported"
ROLE_NOT_SUPPORTED = "chat.role_not_supported"


class ChatPart(BaseModel):
    """Base of everything in the body: unknown fields are refused, null counts as missing."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TextPart(ChatPart):
    """A text within a message."""

    type: Literal["text"]
    text: str


class ImageUrl(ChatPart):
    """Where an image is."""

    url: str = Field(min_length=1, description="http, https, s3 (as far as the operator allows), or a data URL.")
    detail: Literal["auto", "low", "high"] | None = Field(default=None, description="low: fewer tokens for the image.")


def _image_url(value: Any) -> Any:
    """Take a URL alone for an object that holds it."""
    return {"url": value} if isinstance(value, str) else value


class ImagePart(ChatPart):
    """An image within a message. `{"type": "image_url", "url": …}` is accepted as well."""

    type: Literal["image_url"]
    image_url: Annotated[ImageUrl, BeforeValidator(_image_url)]


def _kind_of_part(value: Any) -> str | None:
    return value.get("type") if isinstance(value, dict) else getattr(value, "type", None)


def _known_part(value: Any) -> Any:
    """Refuse a part of another type by its name, and take `{"type": "image_url", "url": …}` for what it means."""
    kind = _kind_of_part(value)
    if kind not in ("text", "image_url"):
        message = "a part of the type {kind} is not supported; text and image_url are"
        raise PydanticCustomError(PART_NOT_SUPPORTED, message, {"kind": str(kind)[:40]})
    if isinstance(value, dict) and kind == "image_url" and "image_url" not in value and "url" in value:
        return {"type": kind, "image_url": {name: each for name, each in value.items() if name != "type"}}
    return value


Part = Annotated[
    Annotated[TextPart, Tag("text")] | Annotated[ImagePart, Tag("image_url")],
    Discriminator(_kind_of_part),
    BeforeValidator(_known_part),
]


def _only_text(value: Any) -> Any:
    if isinstance(value, dict) and value.get("type") != "text":
        message = "a part of the type {kind} is not supported in this role; text is"
        raise PydanticCustomError(PART_NOT_SUPPORTED, message, {"kind": str(value.get("type"))[:40]})
    return value


Text = Annotated[TextPart, BeforeValidator(_only_text)]


def _as_parts(value: Any) -> Any:
    """Take a text alone for a list with one part."""
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


Texts = Annotated[
    list[Text],
    Field(min_length=1, max_length=_MAX_PARTS),
    BeforeValidator(_as_parts, json_schema_input_type=str | list[TextPart]),
]
Parts = Annotated[
    list[Part],
    Field(min_length=1, max_length=_MAX_PARTS),
    BeforeValidator(_as_parts, json_schema_input_type=str | list[TextPart | ImagePart]),
]
Name = Annotated[str, Field(max_length=_MAX_NAME_CHARACTERS)]


class SystemMessage(ChatPart):
    """What the model is to do."""

    role: Literal["system", "developer"]
    content: Texts
    name: Name | None = None


class UserMessage(ChatPart):
    """A question, with images."""

    role: Literal["user"]
    content: Parts
    name: Name | None = None


class AssistantMessage(ChatPart):
    """An earlier answer."""

    role: Literal["assistant"]
    content: Texts
    name: Name | None = None


_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


def _role(value: Any) -> str | None:
    role = value.get("role") if isinstance(value, dict) else getattr(value, "role", None)
    return _ROLES.get(role) if isinstance(role, str) else None


def _known_message(value: Any) -> Any:
    """Refuse another role by its name; null is a field that is not set, as in answers that clients send back."""
    if _role(value) is None:
        role = value.get("role") if isinstance(value, dict) else None
        message = "the role {role} is not supported; system, developer, user and assistant are"
        raise PydanticCustomError(ROLE_NOT_SUPPORTED, message, {"role": str(role)[:40]})
    return {name: each for name, each in value.items() if each is not None} if isinstance(value, dict) else value


Message = Annotated[
    Annotated[SystemMessage, Tag("system")]
    | Annotated[UserMessage, Tag("user")]
    | Annotated[AssistantMessage, Tag("assistant")],
    Discriminator(_role),
    BeforeValidator(_known_message),
]
