"""`ImageUploaded`: what an upload service publishes."""

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from schemas.base import Identifier, Message, Task, UtcTime

# Context travels through to every outcome, so its size is bounded: it is for ids and labels, not for payloads.
MAX_CONTEXT_ENTRIES = 32
MAX_CONTEXT_VALUE_CHARACTERS = 1024
MAX_CAPTION_CHARACTERS = 8192
MAX_URL_CHARACTERS = 8192


class ImageByUrlV1(Message):
    """An image that the service fetches."""

    url: str = Field(
        min_length=1,
        max_length=MAX_URL_CHARACTERS,
        description="http, https, s3 (s3://bucket/key) or file, as far as the operator allows the scheme.",
        examples=["https://cdn.example.com/42.jpg", "s3://uploads/2026/42.jpg"],
    )


class ImageInlineV1(Message):
    """An image that travels inside the event."""

    inline: str = Field(min_length=1, description="The encoded image file in standard base64.")
    media_type: str = Field(
        max_length=127,
        description="What the sender takes the file for; the content decides.",
        examples=["image/jpeg"],
    )


def _kind_of_image(value: Any) -> str | None:
    """Tell by its fields which kind of image a value is, so that errors speak of one kind only."""
    has = value.__contains__ if isinstance(value, dict) else lambda name: hasattr(value, name)
    return "inline" if has("inline") else "url" if has("url") else None


ImageReferenceV1 = Annotated[
    Annotated[ImageByUrlV1, Tag("url")] | Annotated[ImageInlineV1, Tag("inline")],
    Discriminator(
        _kind_of_image,
        custom_error_type="image_reference",
        custom_error_message="Needs either 'url', or 'inline' with 'media_type'",
    ),
]


class ImageUploadedV1(Message):
    """An image was uploaded and wants a verdict, tags, or both."""

    image_id: Identifier = Field(description="The uploader's id of the image; outcomes carry it back.")
    tenant: Identifier = Field(default="default", description="Whose rules apply.")
    image: ImageReferenceV1
    caption: str | None = Field(
        default=None, max_length=MAX_CAPTION_CHARACTERS, description="Text shown with the image; untrusted."
    )
    uploaded_at: UtcTime | None = Field(default=None, description="When the user uploaded it, RFC 3339.")
    tasks: tuple[Task, ...] = Field(
        default=("moderation",), min_length=1, description="What is wanted: a verdict, tags, or both."
    )
    policy: Identifier | None = Field(default=None, description="A policy by name; else the tenant's.")
    context: dict[str, Annotated[str, Field(max_length=MAX_CONTEXT_VALUE_CHARACTERS)]] = Field(
        default_factory=dict,
        max_length=MAX_CONTEXT_ENTRIES,
        description="Strings that come back unchanged in every outcome.",
    )
