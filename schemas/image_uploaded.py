"""`ImageUploaded`: what an upload service publishes."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from schemas.base import Identifier, Message, Task, UtcTime

# Context travels through to every outcome, so its size is bounded: it is for ids and labels, not for payloads.
MAX_CONTEXT_ENTRIES = 32
MAX_CONTEXT_KEY_CHARACTERS = 128
MAX_CONTEXT_VALUE_CHARACTERS = 1024
# Every task there is, several times over: repeats are harmless, endless lists are not.
MAX_TASKS = 16
# As much text as the longest listing descriptions have; a prompt has to hold it.
MAX_CAPTION_CHARACTERS = 8192
# What common HTTP servers accept as a request line.
MAX_URL_CHARACTERS = 8192
# RFC 6838 allows 127 characters for a registered name.
MAX_MEDIA_TYPE_CHARACTERS = 127


def _without(schema: dict[str, Any], field: str) -> None:
    """Publish that the other kind's field is null or missing, as the service takes it."""
    schema["properties"][field] = {"type": "null", "description": "Null or missing beside the other kind of image."}


class ImageByUrlV1(Message):
    """An image that the service fetches."""

    model_config = ConfigDict(json_schema_extra=lambda schema: _without(schema, "inline"))

    url: str = Field(
        min_length=1,
        max_length=MAX_URL_CHARACTERS,
        description="http, https, s3 (s3://bucket/key) or file, as far as the operator allows the scheme.",
        examples=["https://cdn.example.com/42.jpg", "s3://uploads/2026/42.jpg"],
    )


class ImageInlineV1(Message):
    """An image that travels inside the event."""

    model_config = ConfigDict(json_schema_extra=lambda schema: _without(schema, "url"))

    inline: str = Field(
        min_length=1,
        description="The encoded image file in standard base64.",
        json_schema_extra={"contentEncoding": "base64"},
    )
    media_type: str = Field(
        max_length=MAX_MEDIA_TYPE_CHARACTERS,
        description="What the sender takes the file for; the content decides.",
        examples=["image/jpeg"],
    )


def _kind_of_image(value: Any) -> str | None:
    """Recognise by its fields which kind of image a value is, so that errors speak of one kind only.

    Null counts as missing, because many serialisers write every field; both at once would be a guess.
    """
    fields = value if isinstance(value, dict) else vars(value) if isinstance(value, Message) else {}
    has_url, has_inline = fields.get("url") is not None, fields.get("inline") is not None
    if has_url == has_inline:
        return None
    return "url" if has_url else "inline"


ImageReferenceV1 = Annotated[
    Annotated[ImageByUrlV1, Tag("url")] | Annotated[ImageInlineV1, Tag("inline")],
    Discriminator(
        _kind_of_image,
        custom_error_type="image_reference",
        custom_error_message="Needs either 'url', or 'inline' with 'media_type'",
    ),
]


def _without_repeats(tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    return tuple(dict.fromkeys(tasks))


def _unset(default: Any) -> Callable[[Any], Any]:
    """Take null for a field that is not set, because many serialisers write every field."""
    return lambda value: default if value is None else value


def _at_most(limit: int, *, unset: Any) -> Callable[[Any], Any]:
    """Count before looking at the entries, which would each leave an error behind; null counts as not set."""

    def count(value: Any) -> Any:
        if isinstance(value, dict | list | tuple) and len(value) > limit:
            raise PydanticCustomError("too_long", "Input should have at most {limit} entries", {"limit": limit})
        return unset if value is None else value

    return count


def _without_null_entries(value: Any) -> Any:
    """Take an entry that is null as not set; one with an unusable key stays, to be refused for its key."""
    if not isinstance(value, dict):
        return value
    return {key: entry for key, entry in value.items() if entry is not None or not _usable_key(key)}


def _usable_key(key: Any) -> bool:
    return isinstance(key, str) and 1 <= len(key) <= MAX_CONTEXT_KEY_CHARACTERS


ContextKey = Annotated[str, Field(min_length=1, max_length=MAX_CONTEXT_KEY_CHARACTERS)]
ContextValue = Annotated[str, Field(max_length=MAX_CONTEXT_VALUE_CHARACTERS)]
Context = Annotated[dict[ContextKey, ContextValue], Field(max_length=MAX_CONTEXT_ENTRIES)]
ContextInput = Annotated[dict[ContextKey, ContextValue | None], Field(max_length=MAX_CONTEXT_ENTRIES)]
Tasks = Annotated[tuple[Task, ...], Field(min_length=1, max_length=MAX_TASKS)]

DEFAULT_TENANT = "default"
DEFAULT_TASKS: tuple[Task, ...] = ("moderation",)


class ImageUploadedV1(Message):
    """An image was uploaded and wants a verdict, tags, or both."""

    image_id: Identifier = Field(description="The uploader's id of the image; outcomes carry it back.")
    tenant: Annotated[Identifier, BeforeValidator(_unset(DEFAULT_TENANT), json_schema_input_type=Identifier | None)] = (
        Field(default=DEFAULT_TENANT, description="Whose rules apply.")
    )
    image: ImageReferenceV1 = Field(description="Where the image is, or the image itself.")
    caption: str | None = Field(
        default=None, max_length=MAX_CAPTION_CHARACTERS, description="Text shown with the image; untrusted."
    )
    uploaded_at: UtcTime | None = Field(default=None, description="When the user uploaded it, RFC 3339 with zone.")
    tasks: Annotated[
        Tasks,
        BeforeValidator(_at_most(MAX_TASKS, unset=DEFAULT_TASKS), json_schema_input_type=Tasks | None),
        AfterValidator(_without_repeats),
    ] = Field(default=DEFAULT_TASKS, description="What is wanted: a verdict, tags, or both; a repeat counts once.")
    policy: Identifier | None = Field(default=None, description="A policy by name; else the tenant's.")
    context: Annotated[
        Context,
        BeforeValidator(_without_null_entries, json_schema_input_type=ContextInput | None),
        # Validators before a field run from the last to the first: entries are counted before they are looked at.
        BeforeValidator(_at_most(MAX_CONTEXT_ENTRIES, unset={}), json_schema_input_type=ContextInput | None),
    ] = Field(
        default_factory=dict,
        description="Strings that come back unchanged in every outcome; an entry that is null is not set.",
    )
