"""The JSON of the API's requests and answers, as far as it is not the contract of `schemas/`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.base import Identifier, Message, Score
from schemas.image_uploaded import ImageUploadedV1
from schemas.tags import TagsV1
from schemas.verdict import VerdictV1


class ImageRequest(ImageUploadedV1):
    """An image that is to be judged: as `ImageUploaded`, except that id and tenant may be left out."""

    image_id: Identifier | None = Field(  # type: ignore[assignment]  # an id is made where there is none
        default=None, description="Your id of the image; made by the service where it is missing."
    )
    tenant: Identifier | None = Field(  # type: ignore[assignment]  # the key's tenant stands in
        default=None, description="Whose rules apply: that of the API key where it is missing."
    )

    def event(self, *, image_id: str, tenant: str) -> ImageUploadedV1:
        """Return the event, with an id and a tenant."""
        fields = {name: getattr(self, name) for name in ImageUploadedV1.model_fields}
        return ImageUploadedV1.model_construct(**(fields | {"image_id": self.image_id or image_id, "tenant": tenant}))


class ImageRequests(Message):
    """Several images that are to be judged."""

    images: tuple[ImageRequest, ...] = Field(min_length=1, description="Each is judged by itself.")


class Answer(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class ErrorDetail(Answer):
    """Why something failed."""

    message: str = Field(description="What is wrong and what to do, for people.")
    type: str = Field(description="Kind of the error, as OpenAI's API has it.", examples=["invalid_request_error"])
    param: str | None = Field(default=None, description="The part of the request that is at fault.")
    code: str | None = Field(default=None, description="Stable reason code, for programs.", examples=["image.corrupt"])


class ErrorAnswer(Answer):
    """The answer of a request that failed."""

    error: ErrorDetail


class Outcome(Answer):
    """What is known about one image: a verdict and tags as the request asked for, or an error."""

    image_id: str = Field(description="Your id, or the one that the service made.")
    verdict: VerdictV1 | None = Field(default=None, description="Null where it was not asked for, or on an error.")
    tags: TagsV1 | None = Field(default=None, description="Null where they were not asked for, or on an error.")
    error: ErrorDetail | None = Field(default=None, description="Why there is neither; null without an error.")


class OutcomeList(Answer):
    """The outcomes of several images, in the order of the request."""

    outcomes: tuple[Outcome, ...]


class Thresholds(Answer):
    """The scores from which a category has an outcome; null for outcomes that it does not have."""

    label: Score | None = None
    review: Score | None = None
    block: Score | None = None
    frames: int = Field(default=1, description="Frames of an animated image that have to reach a threshold.")


class FirstPassRule(Answer):
    """What a policy's first pass clears."""

    engine: Literal["same", "smaller"] = Field(
        description="What looks: the engine of the full pass, or a smaller one beside it."
    )
    vision_tokens: int = Field(description="How closely it looks.")
    clear_below: dict[str, float] = Field(description="The score of each category that an image must stay below.")


class PolicyAnswer(Answer):
    """A policy that the caller may name in requests."""

    name: str
    version: str
    hash: str = Field(description="SHA-256 of its rules; verdicts name it.")
    description: str
    is_default: bool = Field(description="Whether it applies where a request names none.")
    categories: dict[str, Thresholds]
    not_covered: tuple[str, ...] = Field(description="Its categories that the present engine has no scores for.")
    hints: tuple[str, ...] = Field(description="Its categories whose scores are too weak to block: review at most.")
    tags: str | None = Field(description="The attribute schema of its tags; null without any.")
    first_pass: FirstPassRule | None = Field(
        description="The cheaper pass that may judge an image alone; null if every image gets the full pass."
    )


class PolicyList(Answer):
    """The policies of the caller's tenant."""

    policies: tuple[PolicyAnswer, ...]


NonNegative = Annotated[int, Field(ge=0)]
JsonObject = dict[str, Any]
