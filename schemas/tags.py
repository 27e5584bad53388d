"""`Tags`: what an image shows, under a named attribute schema."""

from pydantic import Field

from schemas.base import Identifier, Message, Score, UtcTime
from schemas.outcome import ImageFactsV1, ModelV1, SourceRecordV1


class AttributeValueV1(Message):
    """One value of an attribute."""

    value: str
    confidence: Score


class TagsV1(Message):
    """Descriptive attributes of one image."""

    image_id: Identifier
    tenant: Identifier
    attribute_schema: str = Field(description="Names the attributes that may occur.", examples=["objects/1"])
    attributes: dict[str, tuple[AttributeValueV1, ...]] = Field(description="Values by attribute, surest first.")
    engine: str
    model: ModelV1
    image: ImageFactsV1
    source: SourceRecordV1
    attempt: int = Field(ge=1)
    tagged_at: UtcTime
    context: dict[str, str]
