"""`Verdict`: what was decided about one image, and everything that produced the decision."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Decision, Identifier, Message, Score, UtcTime
from schemas.outcome import ImageFactsV1, ModelV1, SourceRecordV1

Milliseconds = Annotated[float, Field(ge=0.0)]

REASON_CODES = ("score_over_threshold", "image.ambiguous", "engine_does_not_judge", "answer_off_form")
"""What version 1 writes; the field stays open, so that a new code breaks no reader."""


class ReasonV1(Message):
    """One finding of the policy, or why the image was not judged."""

    code: str = Field(
        description="Stable, for programs. New codes may come: treat one that you do not know by its decision.",
        json_schema_extra={"x-extensible-enum": list(REASON_CODES)},
    )
    category: str | None = Field(default=None, description="The category that the rule is about; null if about none.")
    feature: str | None = Field(
        default=None,
        description="What viewers may show otherwise, where the code is image.ambiguous; otherwise null.",
        examples=["truncated"],
    )
    score: Score | None = Field(default=None, description="The category's score; null where no score was compared.")
    threshold: Score | None = Field(
        default=None, description="The threshold that the score reached; null where there is none."
    )
    decision: Decision = Field(description="What this reason alone calls for; allow makes it a label.")
    message: str = Field(description="For people; its wording may change.")
    explanation: str | None = Field(
        default=None,
        description="What the model says speaks for the category, in the policy's language; null if it was not asked."
        " A model's words, to be shown as such.",
    )


class PolicyV1(Message):
    """The rules that turned scores into the decision."""

    name: str = Field(description="The policy that the event or its tenant named.", examples=["default"])
    version: str = Field(description="As its authors number it.", examples=["1"])
    hash: str = Field(description="SHA-256 of the policy's canonical JSON: equal hash, equal rules.")


class FrameScoresV1(Message):
    """The scores of one frame of an animated image."""

    scores: dict[str, Score] = Field(description="Probability in [0, 1] for every category that the engine covers.")
    asked: tuple[str, ...] = Field(default=(), description="As in the verdict.")
    uncalibrated: dict[str, Score] | None = Field(default=None, description="As in the verdict.")


class ViewV1(Message):
    """One picture that the model saw of an image file."""

    frame: int = Field(ge=0, description="Number of the frame in the file, from 0.")
    shown_ms: int | None = Field(
        default=None, ge=0, description="How long a viewer shows the frame; null for a still image."
    )
    ground: str | None = Field(
        default=None,
        description="What a transparent picture was laid on; opaque leaves its transparency out. Null where a light"
        " ground shows all.",
        json_schema_extra={"x-extensible-enum": ["light", "dark", "opaque"]},
    )
    colours: str | None = Field(
        default=None,
        description="Whether the file's colour declarations were applied; null where it makes no visible difference.",
        json_schema_extra={"x-extensible-enum": ["declared", "plain"]},
    )
    part: tuple[int, int, int, int] | None = Field(
        default=None, description="Left, top, width and height in pixels of the upright image; null for all of it."
    )
    categories: tuple[str, ...] = Field(description="The categories whose score in the verdict is that of this view.")


class FirstPassV1(Message):
    """A cheaper look at the image before the full one, and what looked."""

    decided: bool = Field(
        description="Whether it found the image harmless, so that it got no other. Then the verdict's scores, engine,"
        " model, prompt and preprocessing are those of the first pass, and no calibration file was applied."
    )
    scores: dict[str, Score] = Field(
        description="Its scores as the engine gave them, of several views the highest of each category."
    )
    clear_below: dict[str, Score] = Field(
        description="The scores that the image had to stay below by its policy, in every category."
    )
    engine: str = Field(description="As in the verdict.", examples=["vllm", "openai", "onnx"])
    model: ModelV1 = Field(description="The model that took the first pass.")
    prompt_hash: str | None = Field(description="As in the verdict.")
    label_map: str | None = Field(default=None, description="As in the verdict.")
    label_source: str | None = Field(default=None, description="As in the verdict.")
    preprocessing: str | None = Field(default=None, description="As in the verdict.")


class VerdictV1(Message):
    """What was decided about one image."""

    image_id: Identifier = Field(description="The uploader's id of the image.")
    tenant: Identifier = Field(description="Whose rules were applied.")
    status: Literal["moderated", "not_moderated"] = Field(
        description="not_moderated: no model judged the image, and the decision is a precaution."
    )
    decision: Decision = Field(description="What the policy calls for; what then happens is up to the platform.")
    deciding_category: str | None = Field(
        description="The category that the decision rests on; null for allow, for a decision that rests on what"
        " viewers may show otherwise, and where no category was judged."
    )
    scores: dict[str, Score] = Field(
        description="Probability in [0, 1] for every category that the engine covers, the policy's own included."
    )
    hints: tuple[str, ...] = Field(
        default=(),
        description="Categories of the scores that are too weak to block: a policy sends them to review at most.",
    )
    asked: tuple[str, ...] = Field(
        default=(),
        description="Categories whose score answers a question of its own; the others are shares of one answer to the"
        " list of categories, or a classifier's.",
    )
    uncalibrated: dict[str, Score] | None = Field(
        default=None, description="The scores before the calibration file was applied; null where none was."
    )
    frames: tuple[FrameScoresV1, ...] = Field(
        default=(),
        description="The scores of each judged frame where there are several, of its views the highest; the policy"
        " determines which frame's score counts in each category.",
    )
    views: tuple[ViewV1, ...] = Field(
        default=(),
        description="What the model saw of the image; of several views of one frame the highest score of a category"
        " counts. Empty for a still image that was seen once and as a whole.",
    )
    ambiguous: tuple[str, ...] = Field(
        default=(),
        description="What viewers may show otherwise than it was judged, by stable names; the policy decides about it.",
        examples=[["truncated"]],
    )
    not_covered: tuple[str, ...] = Field(
        description="Categories that the engine does not cover, the policy's own included; their absence from the"
        " scores is no 'safe'."
    )
    reasons: tuple[ReasonV1, ...] = Field(
        description="What the policy found, gravest first; empty where it found nothing."
    )
    policy: PolicyV1 = Field(description="The rules that decided.")
    engine: str = Field(
        description="The kind of runtime that ran the model.", examples=["onnx", "vllm", "openai", "rehearsal"]
    )
    model: ModelV1 = Field(description="The model that saw the image.")
    prompt_hash: str | None = Field(description="SHA-256 of the prompt; null where the engine takes none.")
    label_map: str | None = Field(
        default=None, description="Checksum of which answer stood for which category; null where there is no prompt."
    )
    label_mass: Score | None = Field(
        default=None,
        description="Share of the model's answer that fell on the expected ones, of the frame with the lowest: a low"
        " one means that the model was at a loss. Null where there is none.",
    )
    label_source: str | None = Field(
        default=None,
        description="How scores were read: exact (every category's own probability), allowed (an answer restricted to"
        " the categories), top (only the likeliest answers seen: others score 0, and label_mass may be more). Null"
        " where there is no prompt.",
        examples=["exact"],
    )
    preprocessing: str | None = Field(
        default=None, description="Version of the way from the file to the model's input; null where it has none."
    )
    calibration: str | None = Field(
        description="The way from the model's answers to scores, with the settings that decide it; null where the"
        " scores are the model's own."
    )
    calibration_file: str | None = Field(
        default=None,
        description="Name, version and hash of the calibration file that was applied to the scores; null where none"
        " was.",
    )
    first_pass: FirstPassV1 | None = Field(
        default=None,
        description="What a cheaper look found before; null where the policy has none, or it was left out or failed.",
    )
    image: ImageFactsV1 = Field(description="The image file as it was fetched.")
    source: SourceRecordV1 = Field(description="The upload event that this verdict answers.")
    attempt: int = Field(ge=1, description="1 unless earlier attempts failed.")
    timings_ms: dict[str, Milliseconds] = Field(description="Milliseconds by stage, and in all as 'total'.")
    moderated_at: UtcTime = Field(description="When the decision was made, RFC 3339 in UTC.")
    context: dict[str, str] = Field(description="The upload event's context, unchanged.")
