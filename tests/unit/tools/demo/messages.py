"""Verdicts and tags as the service would write them."""

from schemas.base import Decision, now_utc
from schemas.outcome import ImageFactsV1, ModelV1, SourceRecordV1
from schemas.tags import AttributeValueV1, TagsV1
from schemas.verdict import PolicyV1, ReasonV1, VerdictV1

MODEL = ModelV1(name="nsfw-mobilenet", revision="sha256:1234")
IMAGE = ImageFactsV1(
    sha256="0" * 64, width=640, height=480, bytes=40_000, media_type="image/jpeg", frames=1, frames_judged=1
)


def verdict(
    image_id: str, *, decision: Decision = "allow", category: str = "weapons", score: float = 0.01, offset: int = 0
) -> VerdictV1:
    flagged = decision != "allow"
    reason = ReasonV1(
        code="score_over_threshold",
        category=category,
        score=score,
        threshold=0.4,
        decision=decision,
        message=f"{category} scored {score}",
    )
    return VerdictV1(
        image_id=image_id,
        tenant="default",
        status="moderated",
        decision=decision,
        deciding_category=category if flagged else None,
        scores={category: score, "alcohol": 0.005},
        not_covered=("self_harm",),
        reasons=(reason,) if flagged else (),
        policy=PolicyV1(name="default", version="1", hash="f" * 64),
        engine="onnx",
        model=MODEL,
        prompt_hash=None,
        calibration=None,
        image=IMAGE,
        source=SourceRecordV1(topic="images.uploaded", partition=0, offset=offset),
        attempt=1,
        timings_ms={"decode": 5.0, "engine": 20.0, "total": 25.0},
        moderated_at=now_utc(),
        context={},
    )


def tags(image_id: str, value: str = "tabby") -> TagsV1:
    return TagsV1(
        image_id=image_id,
        tenant="default",
        attribute_schema="objects/1",
        attributes={"objects": (AttributeValueV1(value=value, confidence=0.9),)},
        engine="onnx",
        model=MODEL,
        image=IMAGE,
        source=SourceRecordV1(topic="images.uploaded", partition=0, offset=0),
        attempt=1,
        tagged_at=now_utc(),
        context={},
    )
