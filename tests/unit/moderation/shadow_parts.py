"""Judgements as the live path hands them to shadows, policies on trial, and a publisher that keeps what it gets."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from schemas.image_uploaded import ImageUploadedV1
from schemas.shadow import ShadowDecisionV1
from service.core.records import OutgoingRecord, SourceRecord
from service.inference.engine import EngineOutput, FirstPassOutput
from service.media.types import DecodedImage
from service.moderation import outcomes
from service.moderation.engine_view import judged_views
from service.moderation.outcomes import Subject
from service.moderation.shadow import Judgement
from service.policy.calibration import Calibration
from service.policy.judged import decide_image
from service.policy.loader import load_policies
from service.policy.policy import CategoryRule, Policy
from service.policy.taxonomy import CHILD_SAFETY
from service.settings.settings import PolicySettings
from testing.engine import PaintedEngine

LIVE = load_policies(PolicySettings()).default
TOPIC = "shadow"
HARMLESS = {"sexual_explicit": 0.0, "violence": 0.0, "weapons": 0.0}


def judgement(
    image_id: str = "42",
    *,
    policy: Policy = LIVE,
    tenant: str = "shop",
    offset: int = 17,
    value: bytes | None = b"{}",
    side: int = 8,
    scores: dict[str, float] | None = None,
    is_cleared: bool = False,
    calibration: Calibration | None = None,
) -> Judgement:
    """Return what is known once a verdict exists."""
    record = SourceRecord("images.uploaded", 3, offset, 1_000, b"key", value, (("name", b"value"),))
    event = ImageUploadedV1.model_validate(
        {"image_id": image_id, "tenant": tenant, "image": {"url": "https://a.example/1"}, "context": {"listing": "7"}}
    )
    pixels = np.zeros((side, side, 3), np.uint8)
    image = DecodedImage("0" * 64, side, side, 10, "image/png", 1, (pixels,))
    subject = Subject(record, 1, event, image)
    engine = replace(PaintedEngine().describe(policy.instructions), covers=frozenset(scores or HARMLESS))
    found = HARMLESS if scores is None else scores
    first_pass = FirstPassOutput("cleared", found, by=engine) if is_cleared else None
    outputs = [EngineOutput(found, first_pass=first_pass)]
    judged = judged_views(image, engine, outputs, None)
    verdict = outcomes.verdict(
        subject,
        engine=engine,
        outputs=outputs,
        judged=judged,
        policy=policy,
        decided=decide_image(policy, judged),
        explanations={},
        timings_ms={},
        moderated_at=datetime(2026, 3, 1, tzinfo=UTC),
    )
    return Judgement(subject, judged, engine.image_spec, policy, calibration, verdict)


def trial(name: str = "default", version: str = "2", *, review: float = 0.5, tenants: tuple[str, ...] = ()) -> Policy:
    """Return a policy on trial that reviews weapons."""
    categories = {CHILD_SAFETY: CategoryRule(review=0.1), "weapons": CategoryRule(review=review)}
    return Policy(name=name, version=version, tenants=tenants, categories=categories)


class Kept:
    """A publisher that keeps the records."""

    def __init__(self) -> None:
        self.batches: list[list[OutgoingRecord]] = []

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """Keep the records."""
        self.batches.append([*records])

    @property
    def records(self) -> list[OutgoingRecord]:
        """All records in their order."""
        return [record for batch in self.batches for record in batch]

    @property
    def messages(self) -> list[ShadowDecisionV1]:
        """What the records say."""
        return [ShadowDecisionV1.model_validate_json(record.value or b"") for record in self.records]
