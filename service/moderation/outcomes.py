"""Pure: builds the messages of the contract from the results of the stages."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from schemas.image_uploaded import ImageUploadedV1
from schemas.outcome import ImageFactsV1, ModelV1, SourceRecordV1
from schemas.tags import AttributeValueV1, TagsV1
from schemas.verdict import FirstPassV1, FrameScoresV1, PolicyV1, ReasonV1, VerdictV1, ViewV1
from service.core.losses import EngineLosses
from service.core.records import SourceRecord
from service.inference.engine import EngineDescription, EngineOutput, Tag
from service.media.types import DecodedImage
from service.media.view import View
from service.policy.judged import ImageDecision, JudgedFrame, JudgedImage, deciding_views
from service.policy.policy import Policy
from service.telemetry import labels
from service.telemetry.instruments import IMAGE_VIEWS, IMAGES_AMBIGUOUS, VERDICTS

NO_ATTRIBUTES = "none"
"""The attribute schema of tags from an engine that makes none: who waits for tags gets an answer all the same."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The event of an outcome, its record, and its image."""

    record: SourceRecord
    attempt: int
    event: ImageUploadedV1
    image: DecodedImage
    losses: EngineLosses = field(default_factory=EngineLosses)
    event_id: str | None = None
    """CloudEvents id of the event; None for one that is no CloudEvent."""
    event_source: str | None = None

    def source(self) -> SourceRecordV1:
        """Return the record's coordinates, and the event's CloudEvents id and source."""
        record = self.record
        return SourceRecordV1(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            event_id=self.event_id,
            event_source=self.event_source,
        )

    def facts(self) -> ImageFactsV1:
        """Return the image's facts."""
        image = self.image
        return ImageFactsV1(
            sha256=image.sha256,
            width=image.width,
            height=image.height,
            bytes=image.encoded_bytes,
            media_type=image.media_type,
            frames=image.frames_total,
            frames_judged=len(set(image.frame_numbers)),
        )


def verdict(
    subject: Subject,
    *,
    engine: EngineDescription,
    outputs: Sequence[EngineOutput],
    judged: JudgedImage,
    policy: Policy,
    decided: ImageDecision,
    views: JudgedImage | None = None,
    calibration_file: str | None = None,
    explanations: Mapping[str, str],
    timings_ms: Mapping[str, float],
    moderated_at: datetime,
) -> VerdictV1:
    """Return the verdict on a judged image.

    `views` has the scores of each view that `judged` has the frames of; None if each view is a frame.
    """
    result, counted = decided.result, decided.counted or JudgedFrame({})
    return VerdictV1(
        image_id=subject.event.image_id,
        tenant=subject.event.tenant,
        status=result.status,
        decision=result.decision,
        deciding_category=result.deciding_category,
        scores=dict(counted.scores),
        hints=tuple(sorted(judged.hints & counted.scores.keys())),
        asked=tuple(sorted(counted.asked)),
        uncalibrated=counted.uncalibrated,
        frames=_frames(judged),
        views=_views(subject.image, policy, views or judged),
        ambiguous=tuple(sorted(judged.ambiguous)),
        not_covered=result.not_covered,
        reasons=tuple(_explained(reason, explanations) for reason in result.reasons),
        policy=PolicyV1(name=policy.name, version=policy.version, hash=policy.hash),
        engine=engine.kind,
        model=_model(engine),
        prompt_hash=engine.prompt_hash,
        label_map=engine.label_map,
        label_mass=min((output.label_mass for output in outputs if output.label_mass is not None), default=None),
        label_source=engine.label_source,
        preprocessing=engine.preprocessing,
        calibration=engine.calibration,
        calibration_file=calibration_file,
        first_pass=_first_pass(policy, outputs),
        image=subject.facts(),
        source=subject.source(),
        attempt=subject.attempt,
        timings_ms=dict(timings_ms),
        moderated_at=moderated_at,
        context=subject.event.context,
    )


def _first_pass(policy: Policy, outputs: Sequence[EngineOutput]) -> FirstPassV1 | None:
    """Return what a first pass found; None unless it gave scores of every view."""
    rule, found = policy.instructions.first_pass, [output.first_pass for output in outputs if output.first_pass]
    by = next((each.by for each in found), None)
    if rule is None or by is None or not all(each.scores for each in found):
        return None
    scores: dict[str, float] = {}
    for each in found:
        scores |= {name: max(score, scores.get(name, 0.0)) for name, score in (each.scores or {}).items()}
    return FirstPassV1(
        decided=all(output.is_cleared for output in outputs),
        scores=scores,
        clear_below={name: below for name, below in rule.clear_below if name in scores},
        engine=by.kind,
        model=_model(by),
        prompt_hash=by.prompt_hash,
        label_map=by.label_map,
        label_source=by.label_source,
        preprocessing=by.preprocessing,
    )


def _frames(judged: JudgedImage) -> tuple[FrameScoresV1, ...]:
    if len(judged.frames) == 1:
        return ()
    return tuple(
        FrameScoresV1(scores=dict(each.scores), asked=tuple(sorted(each.asked)), uncalibrated=each.uncalibrated)
        for each in judged.frames
    )


def _views(image: DecodedImage, policy: Policy, views: JudgedImage) -> tuple[ViewV1, ...]:
    """Return what the model saw of an image; nothing for one whole still picture."""
    if len(image.frames) == 1 and image.views in ((), (View(),)):
        return ()
    numbers = image.frame_numbers
    deciding = deciding_views(policy, views, numbers) or (frozenset(),) * len(numbers)
    return tuple(
        ViewV1(
            frame=view.frame,
            shown_ms=view.shown_ms,
            ground=view.ground,
            colours=view.colours,
            part=view.part,
            categories=tuple(sorted(categories)),
        )
        for view, categories in zip(image.views or map(View, numbers), deciding, strict=True)
    )


def tags(
    subject: Subject, *, engine: EngineDescription, outputs: Sequence[EngineOutput], tagged_at: datetime
) -> TagsV1:
    """Return the tags of all frames together, each value with its highest confidence."""
    return TagsV1(
        image_id=subject.event.image_id,
        tenant=subject.event.tenant,
        attribute_schema=engine.attribute_schema or NO_ATTRIBUTES,
        attributes=_union([output.tags for output in outputs]),
        complete=all(output.tags_complete for output in outputs),
        engine=engine.kind,
        model=_model(engine),
        prompt_hash=engine.prompt_hash,
        image=subject.facts(),
        source=subject.source(),
        attempt=subject.attempt,
        tagged_at=tagged_at,
        context=subject.event.context,
    )


def _model(engine: EngineDescription) -> ModelV1:
    return ModelV1(
        name=engine.model_name,
        revision=engine.model_revision,
        adapter=engine.adapter,
        precision=engine.precision,
        runtime=engine.runtime,
    )


def _explained(reason: ReasonV1, explanations: Mapping[str, str]) -> ReasonV1:
    explanation = explanations.get(reason.category or "")
    return reason.model_copy(update={"explanation": explanation}) if explanation else reason


def _union(frames: Sequence[Mapping[str, Sequence[Tag]]]) -> dict[str, tuple[AttributeValueV1, ...]]:
    best: dict[str, dict[str, float]] = {}
    for frame in frames:
        for attribute, values in frame.items():
            confidences = best.setdefault(attribute, {})
            for tag in values:
                confidences[tag.value] = max(tag.confidence, confidences.get(tag.value, 0.0))
    return {attribute: _surest_first(confidences) for attribute, confidences in best.items()}


def _surest_first(confidences: Mapping[str, float]) -> tuple[AttributeValueV1, ...]:
    ranked = sorted(confidences.items(), key=lambda item: (-item[1], item[0]))
    return tuple(AttributeValueV1(value=value, confidence=confidence) for value, confidence in ranked)


class VerdictMetrics:
    """Counts verdicts. Tenants that the settings do not name are counted together."""

    def __init__(self, tenants: Collection[str] = ()) -> None:
        self._tenants = frozenset(tenants)

    def count(self, verdict: VerdictV1) -> None:
        """Count one verdict."""
        attributes = {
            labels.DECISION: verdict.decision,
            labels.POLICY: verdict.policy.name,
            labels.CATEGORY: verdict.deciding_category or labels.NONE,
            labels.TENANT: verdict.tenant if verdict.tenant in self._tenants else labels.OTHER,
            labels.STATUS: verdict.status,
        }
        VERDICTS.add(1, attributes)
        for feature in verdict.ambiguous:
            IMAGES_AMBIGUOUS.add(1, {labels.FEATURE: feature})
        IMAGE_VIEWS.record(max(1, len(verdict.views)))
