"""Every message of the contract: name and version, its model, its CloudEvents type."""

from dataclasses import dataclass
from typing import Literal

from schemas.audit import AuditV1
from schemas.base import Message
from schemas.image_uploaded import ImageUploadedV1
from schemas.review_decided import ReviewDecidedV1
from schemas.shadow import ShadowDecisionV1
from schemas.tags import TagsV1
from schemas.verdict import VerdictV1


@dataclass(frozen=True, slots=True)
class MessageVersion:
    """One version of one message."""

    name: str
    """As in the names of files: `verdict`."""
    version: int
    model: type[Message]
    event_family: str
    """The CloudEvents type without its version: `modstream.image.verdict`."""
    direction: Literal["input", "output"]
    """As the service sees it: what is read may grow more lenient, what is written may not."""

    @property
    def slug(self) -> str:
        """Name and version in one word: `verdict.v1`."""
        return f"{self.name}.v{self.version}"

    @property
    def event_type(self) -> str:
        """The CloudEvents type: `modstream.image.verdict.v1`."""
        return f"{self.event_family}.v{self.version}"


IMAGE_UPLOADED_V1 = MessageVersion("image_uploaded", 1, ImageUploadedV1, "modstream.image.uploaded", "input")
VERDICT_V1 = MessageVersion("verdict", 1, VerdictV1, "modstream.image.verdict", "output")
TAGS_V1 = MessageVersion("tags", 1, TagsV1, "modstream.image.tags", "output")
SHADOW_DECISION_V1 = MessageVersion("shadow_decision", 1, ShadowDecisionV1, "modstream.image.shadow", "output")
REVIEW_DECIDED_V1 = MessageVersion("review_decided", 1, ReviewDecidedV1, "modstream.image.review_decided", "input")
AUDIT_V1 = MessageVersion("audit", 1, AuditV1, "modstream.image.audit", "output")

MESSAGES = (IMAGE_UPLOADED_V1, VERDICT_V1, TAGS_V1, SHADOW_DECISION_V1, REVIEW_DECIDED_V1, AUDIT_V1)
