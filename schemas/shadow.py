"""`ShadowDecision`: what policies or an engine on trial would have decided about an image that has its verdict."""

from typing import Literal, Self

from pydantic import Field

from schemas.base import Decision, Identifier, Message, UtcTime
from schemas.outcome import SourceRecordV1
from schemas.verdict import PolicyV1, VerdictV1


class LiveDecisionV1(Message):
    """The decision that counts."""

    status: Literal["moderated", "not_moderated"] = Field(description="As in the verdict.")
    decision: Decision = Field(description="As in the verdict.")
    deciding_category: str | None = Field(description="As in the verdict.")
    policy: PolicyV1 = Field(description="The rules that decided.")

    @classmethod
    def of(cls, verdict: VerdictV1) -> Self:
        """Return the decision of a verdict."""
        return cls(
            status=verdict.status,
            decision=verdict.decision,
            deciding_category=verdict.deciding_category,
            policy=verdict.policy,
        )


class ShadowPolicyV1(Message):
    """What a policy on trial decides on the verdict's scores."""

    policy: PolicyV1 = Field(description="The policy on trial.")
    decision: Decision = Field(description="What it would have called for.")
    deciding_category: str | None = Field(description="The category that its decision rests on; null for none.")
    unscored: tuple[str, ...] = Field(
        description="Categories that it has rules for and the verdict has no scores of: it might decide otherwise once"
        " the engine is asked about them."
    )
    agrees: bool = Field(description="Whether it decides as the live policy did.")


class ShadowEngineV1(Message):
    """What an engine on trial sees in the image."""

    verdict: VerdictV1 = Field(
        description="Its scores, and what the live policy decides on them. It is no outcome: no program may act on it."
    )
    agrees: bool = Field(description="Whether the decision is that of the live engine.")


class ShadowDecisionV1(Message):
    """What shadows decide about one image: policies on trial, or an engine on trial."""

    image_id: Identifier = Field(description="The uploader's id of the image.")
    tenant: Identifier = Field(description="Whose upload it was.")
    live: LiveDecisionV1 = Field(description="What the verdict says.")
    policies: tuple[ShadowPolicyV1, ...] = Field(
        description="One for each policy on trial that is for such images; empty in records about the engine."
    )
    engine: ShadowEngineV1 | None = Field(description="The engine on trial; null in records about policies.")
    source: SourceRecordV1 = Field(description="The upload event that the verdict answers.")
    attempt: int = Field(ge=1, description="As in the verdict.")
    moderated_at: UtcTime = Field(description="When the live decision was made, RFC 3339 in UTC.")
