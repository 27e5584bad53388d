"""The body of a moderation as OpenAI's clients send it, and what modstream adds to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, ValidationError
from pydantic_core import PydanticCustomError

from schemas.base import Identifier
from schemas.image_uploaded import MAX_CAPTION_CHARACTERS
from service.api.errors import ApiError
from service.core.validation_text import text_of

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_INPUTS = 2048
"""Texts, or parts, in one request: each text has a result of a kilobyte, and a list of empty ones takes no space."""

_TAGGED_AT = 2
"""Steps of a place in the body after which pydantic names the kind of part that it took a value for."""
_LARGEST_STEP = 80
"""Characters of a place that a message shows: some are chosen by the caller."""


class ModerationInvalidError(ApiError):
    """A field of the request has a value that it cannot have; OpenAI's clients expect 400."""

    status = HTTPStatus.BAD_REQUEST
    reason = "moderation.invalid"
    message = "The request is not valid: {detail}"


class ModerationTooManyImagesError(ApiError):
    """The input has more images than `api.max_images`."""

    status = HTTPStatus.BAD_REQUEST
    reason = "moderation.too_many_images"
    message = "{number} images exceed {limit} a request (api.max_images)"


class TextRefusedError(ApiError):
    """The input has only text, and the service is set to refuse that."""

    status = HTTPStatus.BAD_REQUEST
    reason = "moderation.text_refused"
    message = (
        "This service judges images, and refuses input that is only text (api.moderations.text). "
        "Send images as parts of the type image_url"
    )


class ModerationPart(BaseModel):
    """Base of everything in the body; unknown fields are ignored, as clients may be newer."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ModerationText(ModerationPart):
    """A text."""

    type: Literal["text"]
    text: str


class ModerationImageUrl(ModerationPart):
    """Where an image is."""

    url: str = Field(min_length=1, description="http, https, s3 (as far as the operator allows), or a data URL.")


class ModerationImage(ModerationPart):
    """An image."""

    type: Literal["image_url"]
    image_url: ModerationImageUrl


def _kind_of_part(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return str(kind) if kind in ("text", "image_url") else None


Part = Annotated[
    Annotated[ModerationText, Tag("text")] | Annotated[ModerationImage, Tag("image_url")],
    Discriminator(
        _kind_of_part,
        custom_error_type="moderation_part",
        custom_error_message="Input should be a part of the type text or image_url",
    ),
]


def _as_parts(value: Any) -> Any:
    """Take texts alone for parts."""
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return [{"type": "text", "text": each} for each in value]
    if isinstance(value, list):
        return value
    raise PydanticCustomError("moderation_input", "Input should be a text, a list of texts, or a list of parts")


_Texts = Annotated[list[str], Field(min_length=1, max_length=MAX_INPUTS)]
_Parts = Annotated[list[Part], Field(min_length=1, max_length=MAX_INPUTS)]


class ModerationExtras(ModerationPart):
    """What modstream takes beside OpenAI's fields; in Python `extra_body={"modstream": {…}}`."""

    policy: Identifier | None = Field(
        default=None, description="A policy by name, else that of the header `modstream-policy`, else the tenant's."
    )
    caption: str | None = Field(
        default=None, max_length=MAX_CAPTION_CHARACTERS, description="Text shown with the images; untrusted."
    )
    tenant: Identifier | None = Field(
        default=None, description="Whose rules apply: that of the API key where it is missing."
    )


class ModerationRequest(ModerationPart):
    """A moderation. A text or a list of texts has a result for each; a list of parts is one input with one result."""

    input: Annotated[_Parts, BeforeValidator(_as_parts, json_schema_input_type=str | _Texts | _Parts)]
    model: str | None = Field(default=None, description="Accepted and ignored: the service has one model.")
    modstream: ModerationExtras | None = None


@dataclass(frozen=True, slots=True)
class ModerationImageAt:
    """An image of the input."""

    url: str
    place: str
    """Its field in the body, such as `input.0.image_url`."""


@dataclass(frozen=True, slots=True)
class Moderation:
    """A request that was read."""

    images: Sequence[ModerationImageAt]
    texts: int
    is_one: bool
    """Whether everything is one input, with one result; else each text is one."""
    extras: ModerationExtras


def read_moderation(value: Any, *, max_images: int) -> Moderation:
    """Return a request; raises an `ApiError` with status 400 that names the field, never its value."""
    try:
        body = ModerationRequest.model_validate(value)
    except ValidationError as error:
        raise _refusal(error) from None
    images = [
        ModerationImageAt(part.image_url.url, f"input.{number}.image_url")
        for number, part in enumerate(body.input)
        if isinstance(part, ModerationImage)
    ]
    if len(images) > max_images:
        raise ModerationTooManyImagesError(number=len(images), limit=max_images, param="input")
    return Moderation(
        images, len(body.input) - len(images), _is_of_parts(value["input"]), body.modstream or ModerationExtras()
    )


def _is_of_parts(given: Any) -> bool:
    return isinstance(given, list) and isinstance(given[0], dict)


def _refusal(error: ValidationError) -> ModerationInvalidError:
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = _place(fault)
    return ModerationInvalidError(detail=f"{place}: {text_of(fault)}" if place else text_of(fault), param=place or None)


def _place(fault: "ErrorDetails") -> str:
    """Return where a fault is, in the words of the client's body."""
    steps = [str(step)[:_LARGEST_STEP] for step in fault["loc"]]
    if steps[:1] == ["input"]:
        del steps[_TAGGED_AT : _TAGGED_AT + 1]
    return ".".join(steps)
