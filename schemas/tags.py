"""`Tags`: what an image shows, under a named attribute schema."""

from pydantic import Field

from schemas.base import Identifier, Message, Score, UtcTime
from schemas.outcome import ImageFactsV1, ModelV1, SourceRecordV1


class AttributeValueV1(Message):
    """One value of an attribute."""

    value: str = Field(description="What the image shows, in the words of the attribute schema.", examples=["teapot"])
    confidence: Score = Field(description="How sure the model is, in [0, 1].")


class TagsV1(Message):
    """Descriptive attributes of one image."""

    image_id: Identifier = Field(description="The uploader's id of the image.")
    tenant: Identifier = Field(description="Whose upload it was.")
    attribute_schema: str = Field(
        description="Name and version of the set of attributes that may occur.", examples=["objects/1"]
    )
    attributes: dict[str, tuple[AttributeValueV1, ...]] = Field(description="Values by attribute, surest first.")
    complete: bool = Field(
        default=True, description="False if the model's answer was partly invalid: what was valid is here."
    )
    engine: str = Field(description="The kind of runtime that ran the model.", examples=["onnx"])
    model: ModelV1 = Field(description="The model that saw the image.")
    prompt_hash: str | None = Field(
        default=None, description="SHA-256 of the prompt; null where the engine takes none."
    )
    image: ImageFactsV1 = Field(description="The image file as it was fetched.")
    source: SourceRecordV1 = Field(description="The upload event that these tags answer.")
    attempt: int = Field(ge=1, description="1 unless earlier attempts failed.")
    tagged_at: UtcTime = Field(description="When the tags were made, RFC 3339 in UTC.")
    context: dict[str, str] = Field(description="The upload event's context, unchanged.")
