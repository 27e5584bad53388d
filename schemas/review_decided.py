"""`ReviewDecided`: what a person decided about an image, as a review tool publishes it."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Identifier, Message, Score, UtcTime
from schemas.image_uploaded import DEFAULT_TENANT, MAX_CAPTION_CHARACTERS, ImageByUrlV1
from schemas.verdict import PolicyV1

# More than any policy has categories: a model can answer for 51.
MAX_CATEGORIES = 128
# A day; a clock that runs through the night says nothing about a decision.
MAX_SECONDS = 86_400.0

Answer = Literal["yes", "no", "unsure"]
CategoryName = Annotated[str, Field(min_length=1, max_length=128)]


class ReviewedVerdictV1(Message):
    """The verdict that the person had before them."""

    topic: str = Field(min_length=1, max_length=249, description="The topic of verdicts.")
    partition: int = Field(ge=0, description="Its partition.")
    offset: int = Field(ge=0, description="The verdict's offset in that partition.")
    scores: Annotated[dict[CategoryName, Score], Field(max_length=MAX_CATEGORIES)] = Field(
        default_factory=dict,
        description="The verdict's scores: where they differ from the decisions, the model was wrong.",
    )


class ReviewDecidedV1(Message):
    """A person decided what an image shows."""

    image_id: Identifier = Field(description="The uploader's id of the image, as in the verdict.")
    tenant: Identifier = Field(default=DEFAULT_TENANT, description="Whose upload it was, as in the verdict.")
    image: ImageByUrlV1 = Field(description="Where the image is.")
    sha256: str = Field(
        pattern="^[0-9a-f]{64}$",
        description="Of the image file, as in the verdict: what a URL leads to may change.",
    )
    caption: str | None = Field(
        default=None,
        max_length=MAX_CAPTION_CHARACTERS,
        description="The text that the model saw with the image; null for none.",
    )
    policy: PolicyV1 = Field(description="The rules whose definitions of categories the person applied.")
    decisions: Annotated[dict[CategoryName, Answer], Field(min_length=1, max_length=MAX_CATEGORIES)] = Field(
        description="Whether the image shows each category that the person looked for. A category that is missing was"
        " not looked for, which says nothing about it."
    )
    reviewer: Identifier = Field(
        description="A pseudonym, always the same for one person: never a name or an address.", examples=["reviewer-7"]
    )
    seconds: float | None = Field(
        default=None, ge=0.0, le=MAX_SECONDS, description="How long the person looked; null where it was not measured."
    )
    decided_at: UtcTime = Field(
        description="When the person decided, RFC 3339 with zone. Of two decisions of one person about one image the"
        " later one counts."
    )
    verdict: ReviewedVerdictV1 | None = Field(
        default=None, description="The verdict that the review is about; null where the image came from elsewhere."
    )
