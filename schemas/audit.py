"""`Audit`: what the full questions find in an image that was allowed, or why a chosen image was not audited."""

from pydantic import Field

from schemas.base import Identifier, Message, Score, UtcTime
from schemas.outcome import SourceRecordV1
from schemas.shadow import LiveDecisionV1
from schemas.verdict import VerdictV1

LEFT_OUT = ("failed", "no_room", "queue_full", "stopped", "timed_out")
"""What version 1 writes; the field stays open."""


class AuditV1(Message):
    """One of the allowed images that were chosen for an audit: each stands for 1 / share of them."""

    image_id: Identifier = Field(description="The uploader's id of the image.")
    tenant: Identifier = Field(description="Whose upload it was.")
    live: LiveDecisionV1 = Field(description="What the verdict says: always moderated, and allow.")
    share: Score = Field(
        description="The probability with which the image was chosen: policy.audit_share at that time, above 0."
    )
    left_out: str | None = Field(
        description="Why the image was chosen and not audited; null for an audit. An estimate must count these: images"
        " are left out while the engine is busy, and those may be other images.",
        json_schema_extra={"x-extensible-enum": list(LEFT_OUT)},
    )
    verdict: VerdictV1 | None = Field(
        description="What the live policy decides once every category was asked about by a question of its own, without"
        " a first pass. It is no outcome: no program may act on it. Null for an image that was left out."
    )
    source: SourceRecordV1 = Field(description="The upload event that the live verdict answers.")
    attempt: int = Field(ge=1, description="As in the live verdict.")
    moderated_at: UtcTime = Field(description="When the live decision was made, RFC 3339 in UTC.")
