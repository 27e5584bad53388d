"""`Verdict`: what was decided about one image, and everything that produced the decision."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Decision, Identifier, Message, Score, UtcTime
from schemas.outcome import ImageFactsV1, ModelV1, SourceRecordV1

Milliseconds = Annotated[float, Field(ge=0.0)]


class ReasonV1(Message):
    """One rule that spoke against allowing the image, or why it could not be judged."""

    code: Literal["score_over_threshold", "engine_does_not_judge"] = Field(description="Stable, for programs.")
    category: str | None = Field(default=None, description="The category that the rule is about.")
    score: Score | None = None
    threshold: Score | None = None
    decision: Decision = Field(description="What this reason alone calls for.")
    message: str = Field(description="For people.")


class PolicyV1(Message):
    """The rules that turned scores into the decision."""

    name: str
    version: str
    hash: str = Field(description="SHA-256 of the policy's canonical JSON: equal hash, equal rules.")


class VerdictV1(Message):
    """What was decided about one image."""

    image_id: Identifier
    tenant: Identifier
    status: Literal["moderated", "not_moderated"] = Field(
        description="not_moderated: no model judged the image, and the decision is a precaution."
    )
    decision: Decision
    deciding_category: str | None = Field(description="The category that the decision rests on; null for allow.")
    scores: dict[str, Score] = Field(description="One for every category of the taxonomy that the engine covers.")
    not_covered: tuple[str, ...] = Field(description="Categories nobody looked at; their absence is no 'safe'.")
    reasons: tuple[ReasonV1, ...]
    policy: PolicyV1
    engine: str
    model: ModelV1
    prompt_hash: str | None = Field(description="SHA-256 of the prompt; null where the engine takes none.")
    calibration: str | None = Field(description="Version of the score calibration; null where there is none.")
    image: ImageFactsV1
    source: SourceRecordV1
    attempt: int = Field(ge=1, description="1 unless earlier attempts failed.")
    timings_ms: dict[str, Milliseconds] = Field(description="Milliseconds by stage, and in all as 'total'.")
    moderated_at: UtcTime
    context: dict[str, str]
