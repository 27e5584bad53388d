"""Pure: verdicts as a result of OpenAI's moderation, by the crosswalk of the taxonomy."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, get_args

from pydantic import Field

from schemas.base import Decision, Score
from schemas.verdict import VerdictV1
from service.api.models import Answer
from service.policy.taxonomy import BY_NAME, CATEGORIES

OpenAICategory = Literal[
    "harassment",
    "harassment/threatening",
    "sexual",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm/intent",
    "self-harm/instructions",
    "self-harm",
    "sexual/minors",
    "violence",
    "violence/graphic",
]
OPENAI_CATEGORIES: tuple[OpenAICategory, ...] = get_args(OpenAICategory)
"""Every category that a result has, in the order of OpenAI's answers."""

_SEVERITY: tuple[Decision, ...] = ("allow", "review", "block")

SOURCES: Mapping[str, tuple[str, ...]] = {
    name: tuple(category.name for category in CATEGORIES if name in category.crosswalk.openai)
    for name in OPENAI_CATEGORIES
}
"""The taxonomy's categories that count towards each of OpenAI's."""


class TextStatus(Answer):
    """What happened to the text of an input."""

    status: Literal["not_judged"] = "not_judged"
    parts: int = Field(ge=1, description="Texts in this input.")
    message: str = "modstream judges images. The result says nothing about the text: have it judged elsewhere"


class ModerationDetail(Answer):
    """What OpenAI's fields cannot express."""

    decision: Decision | None = Field(description="The gravest of the verdicts; null where no image was judged.")
    flagged_by: dict[str, tuple[OpenAICategory, ...]] = Field(
        description="The policy's categories that call for review or block, each with its counterparts at OpenAI: none"
        " for such as alcohol. Empty beside a decision for review or block: no model judged an image, see its verdict."
    )
    not_covered: tuple[OpenAICategory, ...] = Field(
        description="Categories without any score: their 0.0 above stands for 'unknown', not for 'safe'."
    )
    partly_covered: dict[OpenAICategory, tuple[str, ...]] = Field(
        description="Categories whose score leaves out some of the policy's categories, which are named here."
    )
    text: TextStatus | None = Field(description="What happened to the text; null where the input has none.")
    verdicts: tuple[VerdictV1, ...] = Field(description="The verdict of each image, in the order of the input.")


class ModerationResult(Answer):
    """The result of one input, in OpenAI's form."""

    flagged: bool = Field(description="Whether the policy calls for review or block of any image.")
    categories: dict[OpenAICategory, bool]
    category_scores: dict[OpenAICategory, Score]
    category_applied_input_types: dict[OpenAICategory, tuple[Literal["text", "image"], ...]] = Field(
        description="What each score applies to; empty for categories that the engine does not cover."
    )
    modstream: ModerationDetail


class ModerationAnswer(Answer):
    """The answer of a moderation, in OpenAI's form."""

    id: str = Field(examples=["modr-970d409ef3bef3b70c73d8232df86e7d"])
    model: str = Field(description="The model that judged, whatever the request named.")
    results: tuple[ModerationResult, ...]


def result_of(verdicts: Sequence[VerdictV1], *, texts: int) -> ModerationResult:
    """Return the result of an input with these images and a number of texts: the worst of the verdicts.

    A category is true where a reason for review or block maps to it. Its score is the highest of all categories that
    map to it, in all images.
    """
    decision = max((verdict.decision for verdict in verdicts), key=_SEVERITY.index, default=None)
    flagged_by = {name: _counterparts(name) for name in _reasons(verdicts)}
    flagged = {name for names in flagged_by.values() for name in names}
    scores = {name: _scores(verdicts, name) for name in OPENAI_CATEGORIES}
    return ModerationResult(
        flagged=decision not in (None, "allow"),
        categories={name: name in flagged for name in OPENAI_CATEGORIES},
        category_scores={name: max(found, default=0.0) for name, found in scores.items()},
        category_applied_input_types={name: ("image",) if found else () for name, found in scores.items()},
        modstream=ModerationDetail(
            decision=decision,
            flagged_by=flagged_by,
            not_covered=tuple(name for name, found in scores.items() if not found),
            partly_covered={
                name: missing for name, found in scores.items() if found and (missing := _missing(verdicts, name))
            },
            text=TextStatus(parts=texts) if texts else None,
            verdicts=tuple(verdicts),
        ),
    )


def _reasons(verdicts: Sequence[VerdictV1]) -> Iterator[str]:
    """Yield the category of every reason that calls for more than a label."""
    for verdict in verdicts:
        for reason in verdict.reasons:
            if reason.decision != "allow" and reason.category is not None:
                yield reason.category


def _counterparts(category: str) -> tuple[OpenAICategory, ...]:
    """Return what a category is called at OpenAI; a policy's own categories have no counterpart."""
    known = BY_NAME.get(category)
    return tuple(name for name in OPENAI_CATEGORIES if known is not None and name in known.crosswalk.openai)


def _scores(verdicts: Sequence[VerdictV1], name: OpenAICategory) -> list[float]:
    return [verdict.scores[source] for verdict in verdicts for source in SOURCES[name] if source in verdict.scores]


def _missing(verdicts: Sequence[VerdictV1], name: OpenAICategory) -> tuple[str, ...]:
    return tuple(source for source in SOURCES[name] if any(source not in verdict.scores for verdict in verdicts))
