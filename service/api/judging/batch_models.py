"""The lines of a batch's answer."""

from typing import Literal

from pydantic import Field

from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.api.models import Answer, ErrorDetail

BATCH_PATH = "/v1/verdicts/batch"

Order = Literal["input", "completed"]


class BatchOutcome(Answer):
    """What is known about the image of one line: a verdict and tags as the line asked for, or an error."""

    kind: Literal["outcome"] = "outcome"
    line: int = Field(description="Number of the line in the request, from 1; empty lines count.")
    image_id: str | None = Field(description="Your id, or the one that the service made; null for an invalid line.")
    verdict: VerdictV1 | None = Field(default=None, description="Null where it was not asked for, or on an error.")
    tags: TagsV1 | None = Field(default=None, description="Null where they were not asked for, or on an error.")
    error: ErrorDetail | None = Field(default=None, description="Why there is neither; null without an error.")


class BatchTotals(Answer):
    """What a batch has come to."""

    lines: int = Field(description="Lines that were read and are not empty.")
    outcomes: int = Field(description="Lines that have their outcome; the others are in work.")
    decisions: dict[str, int] = Field(description="Verdicts by decision.")
    errors: dict[str, int] = Field(description="Outcomes with an error, by its code.")
    elapsed_s: float = Field(description="Seconds since the batch began.")


class BatchProgress(BatchTotals):
    """What a batch has come to so far; sent every `progress_s` seconds."""

    kind: Literal["progress"] = "progress"


class BatchSummary(BatchTotals):
    """The last line of every answer: an answer without it was cut off."""

    kind: Literal["summary"] = "summary"
    is_complete: bool = Field(description="Whether the whole request was read, and every line has its outcome.")
    error: ErrorDetail | None = Field(default=None, description="Why the rest of the request was not read, if it was.")
